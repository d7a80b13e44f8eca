"""compact: free the space of what nobody needs any more."""

from __future__ import annotations

import time
from dataclasses import dataclass

from featstore.broom import Broom, Leftover
from featstore.errors import InvalidInputError
from featstore.history import record
from featstore.store import FeatureStore

#: Seconds after which a file counts as abandoned where nobody can know.
DAY = 24 * 3600.0


@dataclass(frozen=True)
class Compaction:
    """What one call of `compact` did.

    Attributes
    ----------
    freed
        What was removed, or would be.
    kept
        What somebody may need, with the reason.
    """

    freed: tuple[Leftover, ...]
    kept: tuple[Leftover, ...]

    @property
    def files(self) -> int:
        """Number of files that were removed, or would be."""
        return sum(leftover.files for leftover in self.freed)

    @property
    def nbytes(self) -> int:
        """Bytes that were freed, or would be."""
        return sum(leftover.nbytes for leftover in self.freed)


def compact(
    store: FeatureStore,
    *,
    unfinished: bool = False,
    older_than: float = DAY,
    dry_run: bool = False,
) -> Compaction:
    """Remove what killed processes, interrupted removals and repairs have left in a store.

    No sealed feature, subset, run, taxonomy or committed shard is touched, and nothing that
    belongs to a living process.  It can be interrupted at any moment and done again.

    Parameters
    ----------
    store
        The store.
    unfinished
        Also remove features whose extraction was not finished.
    older_than
        Seconds since the last write after which something counts as abandoned, where no lock tells:
        unfinished features, half-removed folders, and everything on object storage.
    dry_run
        Only say what would be removed.

    Raises
    ------
    InvalidInputError
        If `older_than` is negative.
    StorageError
        If the disk or the service refuses.
    """
    if older_than < 0:
        raise InvalidInputError(f"an age is 0 seconds or more, got {older_than}")
    broom = Broom(store, before=time.time() - older_than, dry_run=dry_run)
    for name in store.folder.names("features"):
        if store.folder.size(f"features/{name}/zarr.json") is not None:
            broom.feature(f"features/{name}", unfinished=unfinished)
    if store.folder.local is not None:
        broom.temporaries(store.folder.local)
    else:
        for kind in ("features", "subsets", "runs", "taxonomies"):
            for name in store.folder.names(kind):
                broom.remains(f"{kind}/{name}")
    compaction = Compaction(tuple(broom.freed), tuple(broom.kept))
    if compaction.freed and not dry_run:
        record(store.folder, "compact", files=compaction.files, nbytes=compaction.nbytes)
    return compaction
