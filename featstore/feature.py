"""FeatureInfo: a feature as it stands on disk, and how its values are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.commits import read_commits, read_manifest
from featstore.errors import CorruptStoreError
from featstore.mapped import can_map, check_shards, map_shards
from featstore.shards import ShardLayout
from featstore.spec import FeatureSpec

#: File in a feature's folder that holds the request it was extracted by.
REQUEST = "request.json"


@dataclass(frozen=True)
class FeatureInfo:
    """A feature as it stands on disk.

    Attributes
    ----------
    name, folder
        Where it is.
    spec, layout
        What it is and how its bytes lie.
    sealed
        Whether it is complete and readable.
    committed_rows
        Rows that are safe on disk.
    excluded
        Rows of the store without a readable image, with the reason.
    """

    name: str
    folder: Path
    spec: FeatureSpec
    layout: ShardLayout
    sealed: bool
    committed_rows: int
    excluded: Mapping[int, str]

    @property
    def nbytes(self) -> int:
        """Size of the values in bytes."""
        return self.layout.rows * self.layout.row_bytes

    @property
    def request(self) -> dict[str, Any] | None:
        """What was asked for when the feature was extracted; None if that is not known."""
        path = self.folder / REQUEST
        return json.loads(path.read_bytes()) if path.exists() else None

    def load(self) -> NDArray[Any]:
        """Return all rows, shape (rows, dim), read-only: mapped, or read where that cannot be.

        Raises
        ------
        CorruptStoreError
            If a shard is missing, has another size, or its index is damaged.
        """
        if can_map(self.layout):
            return map_shards(self.folder, self.layout)
        import zarr

        check_shards(self.folder, self.layout)
        values = np.asarray(zarr.open_array(self.folder, mode="r")[:])
        values.flags.writeable = False
        return values

    @classmethod
    def read(cls, folder: Path, rows: int) -> FeatureInfo:
        """Read a feature's metadata.

        Parameters
        ----------
        folder
            The feature's folder.
        rows
            Number of samples of the store.

        Raises
        ------
        CorruptStoreError
            If the metadata are not what featstore writes.
        """
        try:
            return cls._read(folder, rows)
        except FileNotFoundError:
            # Sealed between our look at the metadata and at the markers: they are in one now.
            return cls._read(folder, rows)

    @classmethod
    def _read(cls, folder: Path, rows: int) -> FeatureInfo:
        metadata = json.loads((folder / "zarr.json").read_bytes())
        layout = ShardLayout.from_metadata(metadata, rows)
        if layout is None:
            raise CorruptStoreError(
                f"{folder / 'zarr.json'} describes a layout that featstore never writes; "
                "remove the feature (featstore rm) and extract it again"
            )
        attributes = metadata["attributes"]["featstore"]
        if attributes["sealed"]:
            commits = read_manifest(folder, attributes["manifest_digest"])
        else:
            commits = list(read_commits(folder, attributes["spec_digest"]).values())
        return cls(
            name=folder.name,
            folder=folder,
            spec=FeatureSpec.from_json(attributes["spec"]),
            layout=layout,
            sealed=attributes["sealed"],
            committed_rows=sum(commit.rows for commit in commits),
            excluded={row: why for commit in commits for row, why in commit.excluded.items()},
        )
