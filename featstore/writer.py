"""FeatureWriter: fills a feature shard by shard, surviving kills at any moment."""

from __future__ import annotations

import json
import os
import queue
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.commits import (
    MANIFEST,
    Commit,
    CommitLog,
    claim_name,
    encode_json,
    encode_manifest,
    manifest_digest,
)
from featstore.errors import InvalidInputError, SpecMismatchError, StorageError
from featstore.finite import finite_rows
from featstore.folder import Claim, Folder
from featstore.presence import check_shards
from featstore.shards import ShardLayout
from featstore.spec import FeatureSpec

#: Shards between `put` and the medium: one is written while another is flushed.
IN_FLIGHT = 2


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
        self._open(folder)
        self._reset()

    def __reduce__(self) -> tuple[type[FeatureWriter], tuple[Folder, FeatureSpec, int]]:
        return FeatureWriter, (self.folder, self.spec, self.rows)

    def _open(self, folder: Folder) -> None:
        while not folder.start({"zarr.json": self._metadata(0, {"sealed": False})}):
            metadata = json.loads(folder.read("zarr.json"))
            attributes = metadata["attributes"]["featstore"]
            stored = FeatureSpec.from_json(attributes["spec"])
            if stored.digest == self.spec.digest:
                # Shards written by another version may be of another size; go on with that.
                self.layout = ShardLayout.from_metadata(metadata, self.rows) or self.layout
                self.sealed = bool(attributes["sealed"])
                break
            if attributes["sealed"] or CommitLog(folder, stored.digest).read():
                raise SpecMismatchError(_mismatch(folder.name, stored, self.spec))
            folder.remove()  # an attempt that computed nothing pins nobody to its spec
        self.folder = folder.pinned()
        self.log = CommitLog(self.folder, self.spec.digest, is_open=self._is_open)
        if self.sealed:
            # A kill between the seal and its tidying up leaves the markers behind.
            self.log.clear()
        else:
            self.log.recover()
        folder.sweep()

    def _reset(self) -> None:
        """Forget threads and buffers: a forked child has none of its parent's threads."""
        self._process = os.getpid()
        self._pool: ThreadPoolExecutor | None = None
        self._claims: dict[int, Claim] = {}
        self._pending: list[Future[None]] = []
        self._buffers: queue.SimpleQueue[NDArray[Any] | None] = queue.SimpleQueue()
        for _ in range(IN_FLIGHT):
            self._buffers.put(None)

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
        if shard in self._claims:
            return True
        if self.sealed or self.log.has(shard):
            return False
        claim = self.folder.claim(claim_name(shard))
        if claim is None:
            return False
        # Asked once more: its last owner may have committed it just before.
        if self.log.has(shard) or not self._is_open():
            claim.release(done=True)
            return False
        self._claims[shard] = claim
        return True

    def release(self) -> None:
        """Wait for the shards under way, and give back all claims."""
        wait_for(self._pending)
        while self._claims:
            self._claims.popitem()[1].release(done=False)

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
            All its rows, shape (rows of the shard, dim), float32 or the stored dtype.  It is
            copied, and may be changed as soon as the call returns.
        excluded
            Rows of the store without a readable image, with the reason; their values become
            NaN.
        wait
            Return when the shard is committed.  Otherwise checksums, writing and flushing go on
            in the background, for at most two shards at a time; `flush` and `seal` wait for
            them, and an error is raised by the next call.

        Raises
        ------
        InvalidInputError
            If the shape is wrong, a value is not finite, it overflows the stored dtype, or the
            feature has been sealed, perhaps by another process.
        StorageError
            If the disk refuses; the shard is then not committed.
        """
        if self._process != os.getpid():
            self._reset()
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
        buffer = self._buffers.get()
        try:
            if buffer is None:
                buffer = np.empty((self.layout.shard_rows, self.layout.dim), self.layout.dtype)
            stored = buffer[: len(rows)]
            with np.errstate(over="ignore"):
                np.copyto(stored, block, casting="same_kind")
            self._check_finite(block, stored, rows, excluded)
            stored[[row - rows.start for row in excluded]] = np.nan
            if self._pool is None:
                self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="featstore-write")
            self._pending.append(self._pool.submit(self._commit, shard, stored, excluded, buffer))
        except BaseException:
            self._buffers.put(buffer)
            raise
        if wait:
            self.flush()

    def _commit(
        self, shard: int, stored: NDArray[Any], excluded: Mapping[int, str], buffer: NDArray[Any]
    ) -> None:
        try:
            rows = self.layout.shard_range(shard)
            buffers, checksums = self.layout.encode(shard, stored)
            commit = Commit(
                shard=shard,
                start=rows.start,
                rows=len(rows),
                nbytes=self.layout.file_bytes(shard),
                crc32c=tuple(checksums),
                spec_digest=self.spec.digest,
                excluded=excluded,
            )
            self.log.add(commit, buffers)
            claim = self._claims.pop(shard, None)
            if claim is not None:
                claim.release(done=True)
        finally:
            self._buffers.put(buffer)

    def flush(self) -> None:
        """Wait until every shard that was put is committed.

        Raises
        ------
        StorageError
            If the disk refused one of them.
        """
        if self._process != os.getpid():
            self._reset()
        wait_for(self._pending)
        self._raise_failures()

    def _raise_failures(self) -> None:
        done = [future for future in self._pending if future.done()]
        self._pending = [future for future in self._pending if not future.done()]
        for future in done:
            future.result()

    def _check_finite(
        self,
        block: NDArray[Any],
        stored: NDArray[Any],
        rows: range,
        excluded: Mapping[int, str],
    ) -> None:
        bad = ~finite_rows(stored)
        bad[[row - rows.start for row in excluded]] = False
        if not bad.any():
            return
        where = np.flatnonzero(bad)
        first = rows.start + int(where[0])
        if np.isfinite(block[where[0]]).all():
            raise InvalidInputError(
                f"feature {self.folder.name!r}: values up to {np.abs(block[where]).max():.4g} do "
                f"not fit into {self.layout.dtype} (row {first}, {len(where)} rows in all); "
                "store it with --dtype float32"
            )
        raise InvalidInputError(
            f"feature {self.folder.name!r}: the backbone returned NaN or Inf for row {first} "
            f"({len(where)} rows in this shard); try --numerics fp32, or look at the images"
        )

    def seal(self) -> None:
        """Make the feature readable; a no-op if it is already.

        Raises
        ------
        InvalidInputError
            If shards are missing.
        CorruptStoreError
            If a committed shard's file is not there, or of another size.
        """
        self.flush()
        if not self.sealed:
            self.log.recover()
        commits = {} if self.sealed else self.log.read()
        # Asked after the markers were read: another writer's seal removes them.
        if self.sealed or not self._is_open():
            self.sealed = True
            return
        missing = self.layout.n_shards - len(commits)
        if missing:
            raise InvalidInputError(
                f"feature {self.folder.name!r} cannot be sealed: {missing} of "
                f"{self.layout.n_shards} shards are missing; run the extraction again"
            )
        check_shards(self.folder, self.layout)
        self.folder.flush()
        shards = [commits[i] for i in range(self.layout.n_shards)]
        manifest = encode_manifest(self.spec.to_json(), self.spec.digest, shards)
        self.folder.write(MANIFEST, [manifest])
        seal = {"sealed": True, "manifest_digest": manifest_digest(manifest)}
        self.folder.write("zarr.json", [self._metadata(self.layout.rows, seal)])
        self.sealed = True
        self.log.clear()

    def _metadata(self, visible_rows: int, seal: dict[str, Any]) -> bytes:
        attributes = {"spec": self.spec.to_json(), "spec_digest": self.spec.digest, **seal}
        return encode_json(self.layout.metadata(visible_rows, {"featstore": attributes}))

    def _is_open(self) -> bool:
        """Whether the feature on disk is this one, and not sealed."""
        try:
            attributes = json.loads(self.folder.read("zarr.json"))["attributes"]["featstore"]
        except FileNotFoundError:
            attributes = {"spec_digest": None}
        if attributes["spec_digest"] != self.spec.digest:
            raise StorageError(
                f"{self.folder} was removed by another process while it was being written; run "
                "the same command again to start over"
            )
        return not attributes["sealed"]


def _mismatch(name: str, stored: FeatureSpec, asked: FeatureSpec) -> str:
    lines = "\n  ".join(stored.differences(asked))
    return (
        f"feature {name!r} exists and was made in another way (stored | asked for):\n  {lines}\n"
        "Give the new one another name (--backbone NAME=SOURCE) or remove the old one "
        f"(featstore rm STORE {name})."
    )
