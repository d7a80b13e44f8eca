"""Repairs: damaged shards go, so that extracting again computes just these."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from featstore.commits import Commit, CommitLog, marker_name
from featstore.errors import CorruptStoreError, StorageError
from featstore.folder import Folder
from featstore.history import record
from featstore.quarantine import set_aside
from featstore.seal import encode_metadata
from featstore.shards import shard_name
from featstore.store import FeatureStore
from featstore.verification.finding import Finding, is_damage
from featstore.verification.metadata import METADATA, DamageError, Metadata
from featstore.verification.opening import open_damaged
from featstore.verification.shards import shard_damage

_ATTEMPTS = 5


@dataclass(frozen=True)
class Repair:
    """Something that `repair` did.

    Attributes
    ----------
    place
        File that was moved, removed or replaced, relative to the store.
    action
        What became of it.
    """

    place: str
    action: str


def repair(store: FeatureStore | str | Path, findings: Iterable[Finding]) -> list[Repair]:
    """Set damaged shards aside and make their features unfinished again.

    The sound shards stay; repeating the extraction computes the others, and the feature is then,
    bit for bit, what it was.  A kill at any moment leaves either a feature that still shows the
    damage, and can be repaired again, or an unfinished one.

    Parameters
    ----------
    store
        The store, or its location.
    findings
        What `verify` found; those that are not repairable are left alone, and each shard is
        looked at again before it is moved.

    Returns
    -------
    repairs
        What was done, in order.

    Raises
    ------
    CorruptStoreError
        If a feature has changed since it was verified.
    StorageError
        If the disk or the service refuses.
    """
    opened, _ = open_damaged(store)
    by_feature: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.repairable and finding.feature is not None:
            by_feature.setdefault(finding.feature, []).append(finding)
    done: list[Repair] = []
    for name, found in by_feature.items():
        folder = opened.feature_folder(name)
        try:
            feature = _FeatureRepair(folder, opened)
            feature.run(found)
        except (DamageError, FileNotFoundError) as error:
            raise CorruptStoreError(
                f"{folder} has changed since it was verified ({error}); verify again"
            ) from error
        done += feature.done
    if done:
        record(opened.folder, "repair", places=[repair.place for repair in done])
    return done


class _FeatureRepair:
    """The repair of one feature.

    Parameters
    ----------
    folder
        The feature's folder.
    store
        The store.
    """

    def __init__(self, folder: Folder, store: FeatureStore) -> None:
        self._folder = folder.pinned()
        # A sealed feature knows its rows, whatever became of the samples.
        self._metadata = Metadata.read(self._folder, None)
        if not self._metadata.sealed:
            self._metadata = Metadata.read(self._folder, store.n_samples)
        self._log = CommitLog(self._folder, self._metadata.spec.digest)
        self.done: list[Repair] = []

    def run(self, findings: list[Finding]) -> None:
        """Repair what was found."""
        for finding in findings:
            if finding.shard is None:
                name = finding.place.removeprefix(f"features/{self._folder.name}/")
                self._folder.delete(name)
                self._note(name, "removed")
        shards = [finding.shard for finding in findings if finding.shard is not None]
        if shards and self._metadata.sealed:
            self._reopen(shards)
        elif shards:
            self._uncommit(shards)

    def _reopen(self, suspects: list[int]) -> None:
        """Make a sealed feature an unfinished one that lacks the damaged shards.

        As long as it is sealed no writer touches it, so the shards go first.  Before the seal
        goes, the sound ones have their markers again.
        """
        commits = self._metadata.commits(self._folder)
        self._log.clear()  # what a kill between a seal and its tidying up may have left
        damaged = [shard for shard in suspects if self._is_damaged(commits[shard])]
        if not damaged:
            return
        for shard in damaged:
            self._set_aside(shard)
        sound = [commit for commit in commits if commit.shard not in damaged]
        self._mark(sound)
        self._folder.flush()
        if self._folder.read(METADATA) != self._metadata.content:
            raise DamageError(METADATA, "was replaced by another process")
        unsealed = encode_metadata(self._folder.name, self._metadata.spec, self._metadata.layout)
        self._folder.write(METADATA, [unsealed])
        # A writer that opened the feature while it was sealed has removed the markers.
        if self._folder.read(METADATA) == unsealed:
            self._mark(sound)
        self._note(METADATA, f"unfinished: {len(damaged)} shards have to be computed again")

    def _uncommit(self, suspects: list[int]) -> None:
        """Make damaged shards of an unfinished feature count as not computed."""
        for marker, (commit, staged) in self._log.markers().items():
            if commit is None or commit.shard not in suspects:
                continue
            if self._is_damaged(commit, staged):
                self._set_aside(commit.shard)
                self._folder.delete(marker)
                self._note(marker, "removed")

    def _is_damaged(self, commit: Commit, staged: str | None = None) -> bool:
        layout = self._metadata.layout
        try:
            problem = shard_damage(
                self._folder, layout, commit, staged=staged, advance=lambda nbytes: None
            )
        except OSError as error:
            return is_damage(error)
        return problem is not None

    def _set_aside(self, shard: int) -> None:
        place = set_aside(self._folder, shard)
        if place is not None:
            self._note(shard_name(shard), f"moved to features/{self._folder.name}/{place}")

    def _mark(self, commits: list[Commit]) -> None:
        """Give shards that are in place their markers."""
        for attempt in range(1, _ATTEMPTS + 1):
            absent = [commit for commit in commits if not self._log.has(commit.shard)]
            try:
                for commit in absent:
                    self._log.add_present(commit)
                self._folder.flush_names(*(marker_name(commit.shard) for commit in absent))
            except StorageError as error:
                # Who opens a sealed feature for writing takes the folder of the markers away.
                taken = isinstance(error.__cause__, FileNotFoundError)
                if not taken or attempt == _ATTEMPTS or self._folder.size(METADATA) is None:
                    raise
            else:
                return

    def _note(self, name: str, action: str) -> None:
        self.done.append(Repair(f"features/{self._folder.name}/{name}", action))
