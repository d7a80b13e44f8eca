"""FeatureWriter: fills a feature shard by shard, surviving kills at any moment."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from functools import partial
from typing import Any

from numpy.typing import NDArray

from featstore.commits import (
    MANIFEST,
    Commit,
    CommitLog,
    claim_name,
    encode_manifest,
)
from featstore.errors import CorruptStoreError, InvalidInputError, SpecMismatchError, StorageError
from featstore.folder import Claim, Folder, Staged
from featstore.presence import check_shards
from featstore.seal import encode_metadata
from featstore.shards import ShardLayout
from featstore.spec import FeatureSpec
from featstore.stored_block import StoredBlocks

#: Shards that are written, flushed or committed at a time.  With fewer the medium waits for the
#: next one to be written: measured with 2, 3 and 6 of them, 1.1, 0.75 and 0.65 s for 1.2 GB.
IN_FLIGHT = 6
#: The same on object storage, where they are in memory until they have been sent.
IN_FLIGHT_REMOTE = 3


class FeatureWriter:
    """Writes one feature; opening it again resumes.

    Parameters
    ----------
    folder
        The feature's folder inside the store.
    spec
        Everything that determines the values; a feature of another spec under this name is
        refused.
    rows
        Number of samples of the store.

    Raises
    ------
    SpecMismatchError
        If `folder` holds a feature made in another way.
    StorageError
        If the disk refuses.

    Notes
    -----
    Any number of writers, in threads, processes or on machines that share the store, may fill one
    feature.  Each shard is committed by exactly one of them, whoever is first; `put` of a shard
    that another has committed does nothing.  Writers can be pickled, and used after a fork.
    """

    def __init__(self, folder: Folder, spec: FeatureSpec, rows: int) -> None:
        self.spec = spec
        self.rows = rows
        self.layout = ShardLayout.choose(rows, spec.backbone.dim, spec.dtype)
        self.sealed = False
        self._opened_by = os.getpid()
        self._open(folder)
        self._reset()

    def __reduce__(self) -> tuple[type[FeatureWriter], tuple[Folder, FeatureSpec, int]]:
        return FeatureWriter, (self.folder, self.spec, self.rows)

    def _open(self, folder: Folder) -> None:
        first = self._metadata(folder.name)
        while True:
            folder.start({"zarr.json": first})
            try:
                self.folder = folder.pinned()
                metadata = json.loads(self.folder.read("zarr.json"))
                stored = FeatureSpec.from_json(metadata["attributes"]["featstore"]["spec"])
                if stored.digest == self.spec.digest:
                    break
                # An attempt that computed nothing pins nobody to its spec, once it is over.
                if not self.folder.remove(unless=partial(_has_rows, self.folder, stored)):
                    raise SpecMismatchError(describe_mismatch(folder.name, stored, self.spec))
            except FileNotFoundError:
                continue  # removed by another process just now
        # Shards written by another version may be of another size; go on with that.
        self.layout = ShardLayout.from_metadata(metadata, self.rows) or self.layout
        self.sealed = bool(metadata["attributes"]["featstore"]["sealed"])
        # No method: the writer, and with it the folder, is let go as soon as nobody uses it.
        self._is_open = partial(_is_open, self.folder, self.spec.digest)
        self.log = CommitLog(self.folder, self.spec.digest, is_open=self._is_open)
        if self.sealed:
            # A kill between the seal and its tidying up leaves the markers behind.
            self.log.clear()
        else:
            self.log.recover()
        folder.sweep()

    def _reset(self) -> None:
        """Forget threads and buffers: a forked child has none of its parent's threads."""
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._claims: dict[int, Claim] = {}
        self._pending: list[Future[None]] = []
        self._filling = threading.Lock()
        self._in_flight = IN_FLIGHT_REMOTE if self.folder.local is None else IN_FLIGHT
        self._room = threading.BoundedSemaphore(self._in_flight)
        self._blocks = StoredBlocks(self.folder.name, self.layout)
        self._process = os.getpid()

    def _after_fork(self) -> None:
        """In a forked child, part with what is the parent's."""
        if self._process != os.getpid():
            for claim in self._claims.values():
                claim.release(done=False)
            self._reset()

    def pending(self) -> list[int]:
        """Shards that are not committed yet, ascending."""
        if self.sealed:
            return []
        self.flush()
        done = self.log.read()
        return [shard for shard in range(self.layout.n_shards) if shard not in done]

    def claim(self, shard: int) -> bool:
        """Ask for the sole right to compute a shard.

        Several writers that share a feature spare each other work in this way.  The right ends
        when the shard is committed, with `release`, or with the process.  Where the file system
        has no locks, and on object storage, everybody gets it: the first to commit wins.

        Returns
        -------
        granted
            False if the shard is committed, or if another writer is at it.
        """
        self._after_fork()
        if shard in self._claims:
            return True
        if self.sealed or self.log.has(shard):
            return False
        claim = self.folder.claim(claim_name(shard))
        if claim is None:
            return False
        # Asked once more: its last owner may have committed it just before, and have sealed the
        # feature, which takes the markers away.
        self.sealed = not self._is_open()
        if self.sealed or self.log.has(shard):
            claim.release(done=True)
            return False
        self._claims[shard] = claim
        return True

    def release(self) -> None:
        """Wait for the shards under way, and give back all claims.

        If nothing was committed, the feature may now be begun in another way.
        """
        self._after_fork()
        wait_for(list(self._pending))
        while self._claims:
            self._claims.popitem()[1].release(done=False)
        if self._opened_by == os.getpid():
            self.folder.release()

    def put(
        self,
        shard: int,
        block: NDArray[Any],
        *,
        excluded: Mapping[int, str] | None = None,
        wait: bool = True,
    ) -> None:
        """Write and commit one shard.

        Parameters
        ----------
        shard
            Index of the shard.
        block
            All its rows, shape (rows of the shard, dim), float32 or the stored dtype.  It may be
            changed as soon as the call returns.
        excluded
            Rows of the store without a readable image, with the reason; their values become
            NaN.
        wait
            Return when the shard is committed.  Otherwise the call returns when the bytes are
            handed over; a few shards are flushed and committed in the background.  `flush`
            and `seal` wait for them, and an error is raised by the next call.

        Raises
        ------
        InvalidInputError
            If the shape is wrong, a value is not finite, it overflows the stored dtype, or the
            feature has been sealed, perhaps by another process.
        StorageError
            If the disk refuses; the shard is then not committed.
        """
        self._after_fork()
        self._raise_failures()
        if not self._is_open():
            raise InvalidInputError(
                f"feature {self.folder.name!r} is complete and cannot be written any more"
            )
        rows = self.layout.shard_range(shard)
        excluded = dict(excluded or {})
        if block.shape != (len(rows), self.layout.dim):
            raise InvalidInputError(
                f"shard {shard} takes {(len(rows), self.layout.dim)} values, got {block.shape}"
            )
        with self._filling:
            checksums: list[int] = []
            pieces = self._blocks.pieces(shard, block, excluded)
            buffers = self.layout.encode(shard, pieces, checksums)
            self._room.acquire()
            try:
                staged = self.log.stage(shard, buffers, nbytes=self.layout.file_bytes(shard))
            except BaseException:
                self._room.release()
                raise
            commit = Commit(
                shard=shard,
                start=rows.start,
                rows=len(rows),
                nbytes=self.layout.file_bytes(shard),
                crc32c=tuple(checksums),
                spec_digest=self.spec.digest,
                excluded=excluded,
            )
        if staged is None:
            self._room.release()
        elif wait:
            self._commit(commit, staged)
        else:
            with self._lock:
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(
                        self._in_flight, thread_name_prefix="featstore-write"
                    )
                self._pending.append(self._pool.submit(self._commit, commit, staged))

    def _commit(self, commit: Commit, staged: Staged) -> None:
        try:
            self.log.add(commit, staged)
            claim = self._claims.pop(commit.shard, None)
            if claim is not None:
                claim.release(done=True)
        finally:
            self._room.release()

    def flush(self) -> None:
        """Wait until every shard that was put is committed.

        Raises
        ------
        StorageError
            If the disk refused one of them.
        """
        self._after_fork()
        wait_for(list(self._pending))
        self._raise_failures()

    def _raise_failures(self) -> None:
        with self._lock:
            done = [future for future in self._pending if future.done()]
            self._pending = [future for future in self._pending if future not in done]
        for future in done:
            future.result()

    def seal(self) -> None:
        """Make the feature readable; a no-op if it is already.

        Raises
        ------
        InvalidInputError
            If shards are missing.
        CorruptStoreError
            If a committed shard's file is not there, or of another size.
        """
        missing = self.seal_if_whole()
        if missing:
            raise InvalidInputError(
                f"feature {self.folder.name!r} cannot be sealed: {missing} of "
                f"{self.layout.n_shards} shards are missing; run the extraction again"
            )

    def seal_if_whole(self) -> int:
        """Make the feature readable if no shard is missing.

        Returns
        -------
        missing
            Shards that are not committed; 0 once the feature is readable.

        Raises
        ------
        CorruptStoreError
            If a committed shard's file is not there, or of another size.
        """
        self.flush()
        commits = {} if self.sealed else self.log.recover()
        # Asked after the markers were read: another writer's seal removes them.
        if self.sealed or not self._is_open():
            self.sealed = True
            return 0
        missing = self.layout.n_shards - len(commits)
        if missing:
            return missing
        try:
            check_shards(self.folder, self.layout)
        except CorruptStoreError:
            self._is_open()  # removed by another process: that is to be said
            raise
        self.log.flush(commits)
        shards = [commits[i] for i in range(self.layout.n_shards)]
        manifest = encode_manifest(self.spec.to_json(), self.spec.digest, shards)
        self.folder.write(MANIFEST, [manifest])
        self.folder.write("zarr.json", [self._metadata(self.folder.name, manifest=manifest)])
        self.sealed = True
        self.log.clear()
        return 0

    def _metadata(self, name: str, *, manifest: bytes | None = None) -> bytes:
        return encode_metadata(name, self.spec, self.layout, manifest=manifest)


def _is_open(folder: Folder, spec_digest: str) -> bool:
    """Whether the feature on disk is of this spec, and not sealed."""
    try:
        attributes = json.loads(folder.read("zarr.json"))["attributes"]["featstore"]
    except FileNotFoundError:
        attributes = {"spec_digest": None}
    if attributes["spec_digest"] != spec_digest:
        raise StorageError(
            f"{folder} was removed by another process while it was being written; run the same "
            "command again to start over"
        )
    return not attributes["sealed"]


def _has_rows(folder: Folder, spec: FeatureSpec) -> bool:
    """Whether a feature is sealed, or a shard of it is committed."""
    attributes = json.loads(folder.read("zarr.json"))["attributes"]["featstore"]
    return bool(attributes["sealed"] or CommitLog(folder, spec.digest).read())


def describe_mismatch(name: str, stored: FeatureSpec, asked: FeatureSpec) -> str:
    """Say how a stored feature differs from the one that is asked for under its name."""
    lines = "\n  ".join(stored.differences(asked))
    return (
        f"feature {name!r} exists and was made in another way (stored | asked for):\n  {lines}\n"
        "Give the new one another name (extract: --backbone NAME=SOURCE, import: --name NAME) or "
        "remove the old one "
        f"(featstore rm STORE {name})."
    )
