"""The commit protocol of a feature: markers while it grows, one manifest when it is whole.

Writing a shard takes three steps.  Its bytes are put aside; its marker ``_commits/<i>.json``, which
names them, is created, and of several writers only one can; the bytes take their final name.  The
marker is the decision: whoever finds one whose bytes still lie aside finishes the move, and whoever
comes second discards what it has.  The manifest gathers the markers, and then the array's
``zarr.json`` is replaced, which until that moment says "0 rows": the one step that makes the
feature visible, to us and to every other Zarr reader.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from featstore.durable import STAGED
from featstore.errors import CorruptStoreError, StorageError
from featstore.folder import Folder, Staged
from featstore.grouped_flush import GroupedFlush
from featstore.shards import shard_name

COMMITS = "_commits"
MANIFEST = "manifest.json"
#: How many times, 10 ms apart, the right to drop markers is asked for.
_PATIENCE = 500


@dataclass(frozen=True)
class Commit:
    """What was promised about one shard when it was committed.

    Attributes
    ----------
    shard, start, rows, nbytes
        Index, first row, number of rows, size of the file in bytes.
    crc32c
        Checksum of every inner chunk, padding included.
    spec_digest
        Digest of the `FeatureSpec` it was computed with.
    excluded
        Rows of the store whose image could not be read, with the reason; stored as NaN.
    """

    shard: int
    start: int
    rows: int
    nbytes: int
    crc32c: tuple[int, ...]
    spec_digest: str
    excluded: Mapping[int, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able fields."""
        return {
            **vars(self),
            "crc32c": list(self.crc32c),
            "excluded": {str(row): reason for row, reason in sorted(self.excluded.items())},
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Commit:
        """Rebuild a commit that `to_json` wrote."""
        excluded = {int(row): reason for row, reason in fields["excluded"].items()}
        return cls(**{**fields, "crc32c": tuple(fields["crc32c"]), "excluded": excluded})


def marker_name(shard: int) -> str:
    """Marker file of a shard."""
    return f"{COMMITS}/{shard:08d}.json"


def claim_name(shard: int) -> str:
    """File by which a shard is claimed."""
    return f"{COMMITS}/{shard:08d}.claim"


def encode_marker(commit: Commit, staged: str | None) -> bytes:
    """Serialise a marker, with a digest of itself: a damaged one must not count."""
    content = {"commit": commit.to_json(), "staged": staged}
    return encode_json({**content, "digest": content_digest(content)})


def content_digest(content: object) -> str:
    """Sha256 of JSON-able content."""
    return hashlib.sha256(encode_json(content)).hexdigest()


class CommitLog:
    """The markers of a growing feature.

    Parameters
    ----------
    folder
        The feature's folder.
    spec_digest
        Markers of other specs do not count.
    is_open
        Whether the feature is still being written.  Asked after a marker was seen or created: one
        that could be created because sealing had removed the others must not take effect.
    """

    def __init__(
        self, folder: Folder, spec_digest: str, *, is_open: Callable[[], bool] = lambda: True
    ) -> None:
        self.folder = folder
        self.spec_digest = spec_digest
        self._is_open = is_open
        self._lasting: set[int] = set()
        self._flush_names = GroupedFlush(folder.flush_names)

    def read(self) -> dict[int, Commit]:
        """Return the committed shards."""
        return {commit.shard: commit for commit, _ in self.markers().values() if commit}

    def has(self, shard: int) -> bool:
        """Whether a shard is committed, by a look at its marker's name alone."""
        return self.folder.size(marker_name(shard)) is not None

    def stage(self, shard: int, buffers: Iterable[Any], *, nbytes: int) -> Staged | None:
        """Put a shard's bytes aside, to be committed by `add`.

        Returns
        -------
        staged
            None if another writer has sealed the feature meanwhile.

        Raises
        ------
        StorageError
            If the disk refuses.
        """
        try:
            return self.folder.stage(f"{COMMITS}/{shard:08d}", buffers, nbytes=nbytes)
        except StorageError:
            if self._is_open():
                raise
            return None  # the seal took the folder of the markers away: nothing is lost

    def add(self, commit: Commit, staged: Staged) -> None:
        """Commit a shard, unless another writer has.

        Parameters
        ----------
        commit
            What is promised about it.
        staged
            Its bytes.

        Raises
        ------
        StorageError
            If the disk refuses; the shard is then not committed, or will be when the feature is
            next opened for writing.
        """
        try:
            self._decide(commit, staged)
        except StorageError:
            if self._is_open():
                raise
        finally:
            staged.close()

    def _decide(self, commit: Commit, staged: Staged) -> None:
        """Create a shard's marker and finish it, or drop the bytes if another writer was first."""
        marker = marker_name(commit.shard)
        try:
            content = encode_marker(commit, staged.name)
            won = self.folder.create(marker, [content], about=staged)
        except StorageError:
            if self._marker(marker)[1] != staged.name:
                self.folder.delete(staged.name)  # a full disk needs the space
            raise
        if won and self._is_open():
            self._finish(commit, staged.name)
            return
        self.folder.delete(staged.name)
        if won:
            self.folder.delete(marker)

    def add_present(self, commit: Commit) -> None:
        """Create the marker of a shard whose file is in place already, unless there is one."""
        self.folder.create(marker_name(commit.shard), [encode_marker(commit, None)])

    def recover(self) -> dict[int, Commit]:
        """Finish what dead writers had decided, and drop what they had not.

        Returns
        -------
        commits
            The committed shards, each with its bytes in place.
        """
        present: dict[int, Commit] = {}
        for marker, (commit, staged) in self.markers().items():
            if not self._is_open():
                return present
            if commit is not None and self._is_in_place(commit, staged):
                present[commit.shard] = commit
            else:
                self._drop(marker, (commit, staged))
        for name in self.folder.names(COMMITS):
            if name.endswith(STAGED):
                self._drop_abandoned(f"{COMMITS}/{name}")
        return present

    def _drop(self, marker: str, judged: tuple[Commit | None, str | None]) -> None:
        """Delete a marker that is damaged, or whose bytes are gone: the shard is computed again.

        One process at a time, and only what it has judged: another one may have done this before,
        and committed the shard anew.
        """
        for _ in range(_PATIENCE):
            claim = self.folder.claim(f"{COMMITS}/recovery.claim")
            if claim is not None:
                break
            time.sleep(0.01)
        else:
            raise StorageError(
                f"another process is recovering {self.folder} and does not get on; end it, then "
                "run the same command again"
            )
        try:
            if self._marker(marker) == judged:
                self.folder.delete(marker)
        finally:
            claim.release(done=False)

    def _is_in_place(self, commit: Commit, staged: str | None) -> bool:
        """Whether a decided shard has its name and size; it gets them if its bytes lie aside."""
        if staged is not None and self.folder.size(staged) is not None:
            self._finish(commit, staged)
        return self.folder.size(shard_name(commit.shard)) == commit.nbytes

    def _drop_abandoned(self, staged: str) -> None:
        """Delete a dead writer's bytes, unless deciding for them was the last thing it did."""
        if not self.folder.is_abandoned(staged):
            return
        # Read only now: it is dead, so what the marker says is final.
        commit, decided = self._marker(staged.partition(".")[0] + ".json")
        if commit is not None and decided == staged and self._is_open():
            self._finish(commit, staged)
        self.folder.delete(staged)

    def flush(self, shards: Iterable[int]) -> None:
        """Make sure that the names of committed shards last, whoever gave them.

        Those that were finished here last already; others may be at this very point.
        """
        others = [shard_name(shard) for shard in shards if shard not in self._lasting]
        if others:
            self.folder.flush_names(*others)

    def clear(self) -> None:
        """Remove all markers; they are in the manifest now."""
        if self.folder.names(COMMITS) or self.folder.size(COMMITS) is not None:
            self.folder.child(COMMITS).remove()

    def _finish(self, commit: Commit, staged: str) -> None:
        """Give a decided shard its name; another process may be doing the same."""
        target = shard_name(commit.shard)
        try:
            self.folder.move(staged, target)
        except OSError:
            moved_by_another = self.folder.size(staged) is None
            if not moved_by_another or self.folder.size(target) != commit.nbytes:
                raise
        # Once for all three names.  A power cut before it may keep any of them and lose the rest:
        # a marker without its bytes does not count, and bytes without a marker neither.
        self._flush_names(marker_name(commit.shard), staged, target)
        self._lasting.add(commit.shard)

    def markers(self) -> dict[str, tuple[Commit | None, str | None]]:
        """Return every marker's commit and where its bytes were staged.

        There is no commit if the marker is damaged or of another spec.
        """
        markers = {}
        for name in self.folder.names(COMMITS):
            if not name.endswith(".json"):
                continue
            markers[f"{COMMITS}/{name}"] = self._marker(f"{COMMITS}/{name}")
        return markers

    def _marker(self, name: str) -> tuple[Commit | None, str | None]:
        """Read one marker's commit and where its bytes were staged; None for what does not count.

        A marker may vanish at any moment: the writer that seals the feature removes it.
        """
        try:
            fields = json.loads(self.folder.read(name))
            digest = fields.pop("digest")
            commit = Commit.from_json(fields["commit"])
            if digest != content_digest(fields) or commit.spec_digest != self.spec_digest:
                return None, None
            return commit, fields["staged"]
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None, None


def encode_json(fields: object) -> bytes:
    """Serialise so that equal content gives equal bytes."""
    return json.dumps(fields, sort_keys=True, indent=1, ensure_ascii=False).encode() + b"\n"


def encode_manifest(spec: Mapping[str, Any], spec_digest: str, commits: Iterable[Commit]) -> bytes:
    """Serialise the manifest of a sealed feature."""
    content = {
        "spec_digest": spec_digest,
        "spec_sha256": content_digest(spec),
        "shards": [commit.to_json() for commit in commits],
    }
    return encode_json({**content, "digest": content_digest(content)})


def manifest_digest(manifest: bytes) -> str:
    """Sha256 of a manifest's bytes; the sealed ``zarr.json`` carries it."""
    return hashlib.sha256(manifest).hexdigest()


def read_manifest(folder: Folder, digest: str) -> list[Commit]:
    """Read a sealed feature's commits.

    Raises
    ------
    CorruptStoreError
        If the manifest is missing or is not the one that was sealed.
    """
    place = f"{folder}/{MANIFEST}"
    try:
        content = folder.read(MANIFEST)
    except FileNotFoundError:
        raise CorruptStoreError(
            f"{place} is missing; remove the feature (featstore rm) and extract it again"
        ) from None
    if manifest_digest(content) != digest:
        raise CorruptStoreError(
            f"{place} is not the manifest this feature was sealed with; remove it "
            "(featstore rm) and extract it again"
        )
    return [Commit.from_json(fields) for fields in json.loads(content)["shards"]]
