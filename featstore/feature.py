"""FeatureInfo: a feature as it stands on disk, and how its values are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from featstore.commits import Commit, CommitLog, content_digest, encode_json, read_manifest
from featstore.displayed import Displayed
from featstore.errors import CorruptStoreError, FeatureNotFoundError
from featstore.folder import Folder
from featstore.mapped import can_map, map_shards
from featstore.object_folder import ObjectFolder
from featstore.presence import check_shards
from featstore.remote_rows import RemoteRows
from featstore.rows import ArrayRows, Rows
from featstore.shards import ShardLayout
from featstore.spec import FeatureSpec

#: File in a feature's folder that holds the request it was extracted by.
REQUEST = "request.json"


@dataclass(frozen=True, repr=False)
class FeatureInfo(Displayed):
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
    folder: Folder
    spec: FeatureSpec
    layout: ShardLayout
    sealed: bool
    committed_rows: int
    excluded: Mapping[int, str]

    @property
    def is_imported(self) -> bool:
        """Whether another tool made the values."""
        return self.spec.backbone.source.startswith("import:")

    @property
    def nbytes(self) -> int:
        """Size of the values in bytes."""
        return self.layout.rows * self.layout.row_bytes

    @property
    def request(self) -> dict[str, Any] | None:
        """What was asked for when the feature was extracted; None if that is not known."""
        try:
            fields = json.loads(self.folder.read(REQUEST))
        except FileNotFoundError:
            return None
        except ValueError:
            return None  # damaged: the next extraction asks the weights themselves
        digest = fields.pop("digest", None) if isinstance(fields, dict) else None
        return fields if digest == content_digest(fields) else None

    def remember(self, request: Mapping[str, Any]) -> None:
        """Keep what was asked for, so that asking again is answered at once."""
        content = {**request, "digest": content_digest(dict(request))}
        self.folder.write(REQUEST, [encode_json(content)])

    def commits(self) -> list[Commit]:
        """Return what was promised about every shard that is committed.

        Raises
        ------
        CorruptStoreError
            If the manifest of a sealed feature is missing or is not the one that was sealed.
        """
        metadata = json.loads(self.folder.read("zarr.json"))
        return _commits(self.folder, metadata["attributes"]["featstore"])

    def rows(self) -> Rows:
        """Return all rows, shape (rows, dim): mapped, fetched on demand, or read into memory.

        Raises
        ------
        CorruptStoreError
            If a shard is missing, has another size, or its index is damaged.
        FeatureNotFoundError
            If the feature was removed meanwhile.
        """
        if isinstance(self.folder, ObjectFolder):
            return RemoteRows(self.folder, self.layout)
        try:
            return self._local_rows()
        except (FileNotFoundError, CorruptStoreError):
            if self.folder.size("zarr.json") is None:
                raise FeatureNotFoundError(
                    f"feature {self.name!r} was removed by another process just now"
                ) from None
            raise

    def _local_rows(self) -> Rows:
        check_shards(self.folder, self.layout)
        if self.folder.local is not None and can_map(self.layout):
            return ArrayRows(map_shards(self.folder.local, self.layout))
        import zarr

        values = np.asarray(zarr.open_array(self.folder.zarr(), mode="r")[:])
        values.flags.writeable = False
        return ArrayRows(values)

    @classmethod
    def read(cls, folder: Folder, rows: int) -> FeatureInfo:
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
            metadata = json.loads(folder.read("zarr.json"))
            layout = ShardLayout.from_metadata(metadata, rows)
            attributes = metadata["attributes"]["featstore"]
            spec = FeatureSpec.from_json(attributes["spec"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptStoreError(
                f"{folder}/zarr.json is damaged ({type(error).__name__}: {error}); `featstore "
                "verify` says what to do"
            ) from error
        if layout is None:
            raise CorruptStoreError(
                f"{folder}/zarr.json describes a layout that featstore never writes; "
                "remove the feature (featstore rm) and extract it again"
            )
        commits = _commits(folder, attributes)
        return cls(
            name=folder.name,
            folder=folder,
            spec=spec,
            layout=layout,
            sealed=attributes["sealed"],
            committed_rows=sum(commit.rows for commit in commits),
            excluded={row: why for commit in commits for row, why in commit.excluded.items()},
        )


def _commits(folder: Folder, attributes: Mapping[str, Any]) -> list[Commit]:
    if attributes["sealed"]:
        return read_manifest(folder, attributes["manifest_digest"])
    return list(CommitLog(folder, attributes["spec_digest"]).read().values())
