"""FeatureWriter: fills a feature shard by shard, surviving kills at any moment."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.commits import (
    COMMITS,
    MANIFEST,
    Commit,
    encode_json,
    manifest_digest,
    marker_path,
    read_commits,
)
from featstore.durable import flush_folder, storage_error, sweep, write_durably
from featstore.errors import InvalidInputError, SpecMismatchError
from featstore.mapped import check_shards, shard_path
from featstore.shards import ShardLayout
from featstore.spec import FeatureSpec


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
    Writing a shard again is harmless: it has the same bytes.  Several writers may therefore
    work on one feature as long as each shard's values do not depend on who computes them.
    """

    def __init__(self, folder: Path, spec: FeatureSpec, rows: int) -> None:
        self.folder = folder
        self.spec = spec
        self.layout = ShardLayout.choose(rows, spec.backbone.dim, spec.dtype)
        if (folder / "zarr.json").exists():
            metadata = json.loads((folder / "zarr.json").read_bytes())
            attributes = metadata["attributes"]["featstore"]
            stored = FeatureSpec.from_json(attributes["spec"])
            started_over = not attributes["sealed"] and not read_commits(folder, stored.digest)
            if stored.digest != spec.digest and started_over:
                self.sealed = False
                self._start()
                return
            if stored.digest != spec.digest:
                lines = "\n  ".join(stored.differences(spec))
                raise SpecMismatchError(
                    f"feature {folder.name!r} exists and was made in another way "
                    f"(stored | asked for):\n  {lines}\n"
                    "Give the new one another name (--backbone NAME=SOURCE) or remove the old "
                    f"one (featstore rm STORE {folder.name})."
                )
            self.sealed = bool(attributes["sealed"])
            # Shards written by another version may be of another size; go on with that.
            self.layout = ShardLayout.from_metadata(metadata, rows) or self.layout
        else:
            self.sealed = False
            self._start()
        if self.sealed:
            # A kill between the seal and its tidying up leaves the markers behind.
            shutil.rmtree(folder / COMMITS, ignore_errors=True)
        sweep(folder)

    def _start(self) -> None:
        # What a deleted feature may have left behind must not count for this one.
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            (self.folder / COMMITS).mkdir(parents=True, exist_ok=True)
            flush_folder(self.folder.parent)
        except OSError as error:
            raise storage_error(error, self.folder) from error
        self._write_metadata(visible_rows=0, seal={"sealed": False})

    def _write_metadata(self, *, visible_rows: int, seal: dict[str, Any]) -> None:
        attributes = {"spec": self.spec.to_json(), "spec_digest": self.spec.digest, **seal}
        metadata = self.layout.metadata(visible_rows, {"featstore": attributes})
        write_durably(self.folder / "zarr.json", [encode_json(metadata)])

    def pending(self) -> list[int]:
        """Shards that are not committed yet, ascending."""
        if self.sealed:
            return []
        done = read_commits(self.folder, self.spec.digest)
        return [shard for shard in range(self.layout.n_shards) if shard not in done]

    def put(
        self, shard: int, block: NDArray[Any], *, excluded: Mapping[int, str] | None = None
    ) -> None:
        """Write and commit one shard.

        Parameters
        ----------
        shard
            Index of the shard.
        block
            All its rows, shape (rows of the shard, dim), float32 or the stored dtype.
        excluded
            Rows of the store without a readable image, with the reason; their values become
            NaN.

        Raises
        ------
        InvalidInputError
            If the shape is wrong, a value is not finite, it overflows the stored dtype, or the
            feature has been sealed, perhaps by another process.
        StorageError
            If the disk refuses; the shard is then not committed.
        """
        if self._sealed_on_disk():
            raise InvalidInputError(
                f"feature {self.folder.name!r} is complete and cannot be written any more"
            )
        rows = self.layout.shard_range(shard)
        excluded = dict(excluded or {})
        if block.shape != (len(rows), self.layout.dim):
            raise InvalidInputError(
                f"shard {shard} takes {(len(rows), self.layout.dim)} values, got {block.shape}"
            )
        with np.errstate(over="ignore"):
            stored = np.array(block, self.layout.dtype, order="C")
        stored[[row - rows.start for row in excluded]] = np.nan
        self._check_finite(block, stored, rows, excluded)
        buffers, checksums = self.layout.encode(shard, stored)
        path = shard_path(self.folder, shard)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            flush_folder(path.parent.parent)
        except OSError as error:
            raise storage_error(error, path) from error
        write_durably(path, buffers)
        commit = Commit(
            shard=shard,
            start=rows.start,
            rows=len(rows),
            nbytes=self.layout.file_bytes(shard),
            crc32c=tuple(checksums),
            spec_digest=self.spec.digest,
            excluded=excluded,
        )
        write_durably(marker_path(self.folder, shard), [encode_json(commit.to_json())])

    def _check_finite(
        self,
        block: NDArray[Any],
        stored: NDArray[Any],
        rows: range,
        excluded: Mapping[int, str],
    ) -> None:
        bad = ~np.isfinite(stored).all(axis=1)
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
        if self.sealed or self._sealed_on_disk():
            self.sealed = True
            return
        commits = read_commits(self.folder, self.spec.digest)
        missing = self.layout.n_shards - len(commits)
        if missing:
            raise InvalidInputError(
                f"feature {self.folder.name!r} cannot be sealed: {missing} of "
                f"{self.layout.n_shards} shards are missing; run the extraction again"
            )
        check_shards(self.folder, self.layout)
        shards = [commits[i].to_json() for i in range(self.layout.n_shards)]
        manifest = encode_json({"spec_digest": self.spec.digest, "shards": shards})
        write_durably(self.folder / MANIFEST, [manifest])
        self._write_metadata(
            visible_rows=self.layout.rows,
            seal={"sealed": True, "manifest_digest": manifest_digest(manifest)},
        )
        self.sealed = True
        shutil.rmtree(self.folder / COMMITS, ignore_errors=True)

    def _sealed_on_disk(self) -> bool:
        metadata = json.loads((self.folder / "zarr.json").read_bytes())
        return bool(metadata["attributes"]["featstore"]["sealed"])
