"""Listed: folders that were written as a whole and hold the checksums of their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from featstore.errors import CorruptStoreError
from featstore.folder import Folder
from featstore.sums import SUMS, file_digest, parse
from featstore.verification.check import Check
from featstore.verification.finding import is_damage, unreadable


@dataclass(frozen=True)
class FileProblem:
    """What is wrong with a file of a folder; `refused` if we only may not or cannot see it."""

    name: str
    problem: str
    refused: bool = False


@dataclass(frozen=True)
class ListedFolder:
    """A folder with checksums.

    Attributes
    ----------
    folder
        Where it is.
    place
        Its name in the store; "" for the store itself.
    digests
        SHA-256 of every listed file, by name; None where the list is missing or damaged.
    problem
        What is wrong with the list; None if nothing is.
    """

    folder: Folder
    place: str
    digests: dict[str, str] | None
    problem: FileProblem | None

    @classmethod
    def read(cls, store: Folder, place: str, *, expected: bool) -> ListedFolder:
        """Read the list of a folder.

        Parameters
        ----------
        store, place
            The store's folder, and the name of this one in it.
        expected
            Whether the featstore that made the store wrote such lists.
        """
        folder = store.child(place) if place else store
        digests, problem = None, None
        try:
            digests = parse(folder.read(SUMS))
        except FileNotFoundError:
            if expected:
                problem = FileProblem(SUMS, "is missing: nothing proves the files it listed")
        except CorruptStoreError as error:
            problem = FileProblem(SUMS, f"{error}: nothing proves the files it lists")
        except OSError as error:
            problem = _unreadable(SUMS, error)
        return cls(folder, place, digests, problem)

    def checks(self) -> Iterator[Check[FileProblem]]:
        """Yield a check of every listed file, and what is wrong with the list itself."""
        if self.problem is not None:
            yield lambda advance: self.problem
        for name, promised in (self.digests or {}).items():

            def check(
                advance: Callable[[int], None], name: str = name, promised: str = promised
            ) -> FileProblem | None:
                try:
                    size = self.folder.size(name)
                    if size is None:
                        return FileProblem(name, "is missing")
                    found = file_digest(self.folder, name, size, advance=advance)
                except OSError as error:
                    return _unreadable(name, error)
                if found == promised:
                    return None
                return FileProblem(name, "is not the file that was written")

            yield check


def _unreadable(name: str, error: OSError) -> FileProblem:
    return FileProblem(name, unreadable(error), not is_damage(error))
