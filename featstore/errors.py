"""What can go wrong, as types.

Each error is also the builtin that a caller who knows nothing of featstore would catch, so
``except KeyError`` around ``store.view("typo")`` works.  The command line turns every
`FeatstoreError` into one message and exit code 2.
"""


class FeatstoreError(Exception):
    """Base of all errors that featstore raises on purpose."""

    def __str__(self) -> str:
        # KeyError would show repr(message); people should read the message itself.
        return str(self.args[0]) if self.args else ""


class InvalidInputError(FeatstoreError, ValueError):
    """An argument, a file or a table holds something that cannot be used."""


class StoreNotFoundError(FeatstoreError, FileNotFoundError):
    """There is nothing at the store's path."""


class NotAStoreError(FeatstoreError, ValueError):
    """There is something at the path, but no featstore store."""


class FeatureNotFoundError(FeatstoreError, KeyError):
    """The store has no such feature, target, split or run."""


class NotSealedError(FeatstoreError, ValueError):
    """The feature exists, but its extraction has not been finished."""


class SpecMismatchError(FeatstoreError, ValueError):
    """The stored feature was made in another way than the one asked for."""


class CorruptStoreError(FeatstoreError, OSError):
    """Bytes on disk are not what was committed."""


class StorageError(FeatstoreError, OSError):
    """The disk refused: full, read-only or no permission."""


class MemoryCeilingError(FeatstoreError, MemoryError):
    """The values asked for are larger than the ceiling that was set."""


class OutOfMemoryError(FeatstoreError, MemoryError):
    """The memory of the device does not suffice, even for the smallest batch."""


class WorkerDiedError(FeatstoreError, RuntimeError):
    """Processes that compute die one after the other at the same piece of work."""


class SharedGroupsWarning(UserWarning):
    """Rows of one group are on both sides of a division."""


class ShortClassesWarning(UserWarning):
    """Classes have fewer rows than the shots that nobody asked for by number."""


class UnreadableImageError(FeatstoreError, OSError):
    """An image file cannot be decoded."""


class MissingDependencyError(FeatstoreError, ImportError):
    """An optional package is needed and not installed."""


class WeightsError(FeatstoreError, RuntimeError):
    """Pretrained weights cannot be found, fetched or matched to the architecture."""
