"""Broom: finds what nobody needs in one place of a store after the other, and removes it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from featstore.commits import COMMITS, CommitLog
from featstore.durable import HAS_FOLDER_DESCRIPTORS, STAGED
from featstore.errors import FeatstoreError
from featstore.feature import FeatureInfo
from featstore.folder import Folder
from featstore.leftovers import below, beside, remove_dead
from featstore.local_folder import LocalFolder
from featstore.quarantine import QUARANTINE
from featstore.store import FeatureStore


@dataclass(frozen=True)
class Leftover:
    """Files of a store that nobody needs, or may need no more.

    Attributes
    ----------
    place
        Where they are, relative to the store.
    reason
        What they are.
    files, nbytes
        How many, of how many bytes in all.
    """

    place: str
    reason: str
    files: int
    nbytes: int


class Broom:
    """Removes what nobody needs, and notes it.

    Parameters
    ----------
    store
        The store.
    before
        Time before which a file must have been written to count as abandoned, where no lock tells.
    dry_run
        Only look.

    Attributes
    ----------
    freed
        What was removed, or would be.
    kept
        What somebody may need, with the reason.
    """

    def __init__(self, store: FeatureStore, *, before: float, dry_run: bool) -> None:
        self._store = store
        self._before = before
        self._dry_run = dry_run
        self.freed: list[Leftover] = []
        self.kept: list[Leftover] = []

    def feature(self, place: str, *, unfinished: bool) -> None:
        """Look at a feature."""
        folder = self._store.folder.child(place)
        try:
            info = FeatureInfo.read(folder, self._store.n_samples)
        except FileNotFoundError:
            return  # removed meanwhile
        except (FeatstoreError, ValueError, LookupError, TypeError) as error:
            self.kept.append(Leftover(place, f"cannot be read: {error}", 0, 0))
            return
        if unfinished and not info.sealed:
            sizes = list(folder.files().values())
            if self._is_idle(folder, remove=not self._dry_run):
                self._note(place, "unfinished feature", sizes)
                return
        self._remove(f"{place}/{QUARANTINE}", "damaged shards that were set aside")
        for shard in folder.names("c"):
            if shard.isdecimal() and int(shard) >= info.layout.n_shards:
                self._remove(f"{place}/c/{shard}", f"no shard of {info.layout.n_shards}")
        if info.sealed:
            if self._is_idle(folder):
                self._remove(f"{place}/{COMMITS}", "markers of a sealed feature")
            return
        self._remove_staged(place, folder, info)
        state = f"unfinished, {info.committed_rows} of {info.layout.rows} rows"
        if unfinished:
            state += ", being written" if _locks_tell(folder) else ", written not long ago"
        self._keep(place, state)

    def _remove_staged(self, place: str, folder: Folder, info: FeatureInfo) -> None:
        """Remove bytes that dead writers had put aside and not decided for."""
        staged = [f"{COMMITS}/{name}" for name in folder.names(COMMITS) if name.endswith(STAGED)]
        dead = [name for name in staged if folder.is_abandoned(name) or self._is_old(folder, name)]
        # Read only now: what dead writers had decided is final.
        markers = CommitLog(folder, info.spec.digest).markers().values()
        decided = {name for commit, name in markers if commit is not None}
        for name in dead:
            if name not in decided:
                self._note(f"{place}/{name}", "never committed", [folder.size(name) or 0])
                if not self._dry_run:
                    folder.delete(name)

    def temporaries(self, path: Path) -> None:
        """Look for temporary files and folders in a store, and beside it."""
        for leftover in [*below(path), *beside(path.resolve())]:
            sizes = list(LocalFolder(leftover).files().values())
            if leftover.is_file():
                sizes = [leftover.stat().st_size]
            if remove_dead(leftover, dry_run=self._dry_run):
                self._note(_relative(leftover, path), "temporary, of a dead process", sizes)
            else:
                place = _relative(leftover, path)
                self.kept.append(Leftover(place, "being written", len(sizes), sum(sizes)))

    def remains(self, place: str) -> None:
        """Look for what the removal of a folder, or writing one, left on object storage."""
        folder = self._store.folder.child(place)
        files = folder.files()
        if not files or "zarr.json" in files:
            return
        if all(self._is_old(folder, name) for name in files):
            self._remove(place, "half-removed, or never completed")
        else:
            self._keep(place, "half-removed or being written, not long ago")

    def _remove(self, place: str, reason: str) -> None:
        folder = self._store.folder.child(place)
        sizes = folder.files().values()
        if sizes:
            self._note(place, reason, list(sizes))
            if not self._dry_run:
                folder.remove()

    def _note(self, place: str, reason: str, sizes: Sequence[int]) -> None:
        self.freed.append(Leftover(place, reason, len(sizes), sum(sizes)))

    def _keep(self, place: str, reason: str) -> None:
        sizes = self._store.folder.child(place).files().values()
        self.kept.append(Leftover(place, reason, len(sizes), sum(sizes)))

    def _is_idle(self, folder: Folder, *, remove: bool = False) -> bool:
        """Whether no writer holds on to a feature, as far as that can be known; remove it then."""
        if not _locks_tell(folder):
            names = ["zarr.json", *(f"{COMMITS}/{name}" for name in folder.names(COMMITS))]
            idle = all(self._is_old(folder, name) for name in names)
            if idle and remove:
                folder.remove()
            return idle
        asked = False

        def stays() -> bool:
            nonlocal asked
            asked = True
            return not remove

        # Asked only if nobody else has the folder; nobody can get hold of it before the answer.
        with suppress(FileNotFoundError):
            folder.pinned().remove(unless=stays)
        return asked

    def _is_old(self, folder: Folder, name: str) -> bool:
        """Whether a file was abandoned, going by its age; never where a lock tells."""
        if _locks_tell(folder):
            return False
        modified = folder.modified(name)
        return modified is None or modified <= self._before


def _locks_tell(folder: Folder) -> bool:
    return folder.local is not None and HAS_FOLDER_DESCRIPTORS


def _relative(leftover: Path, store: Path) -> str:
    if leftover.is_relative_to(store):
        return leftover.relative_to(store).as_posix()
    return f"../{leftover.name}"
