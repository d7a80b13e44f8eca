"""The commit protocol of a feature: markers while it grows, one manifest when it is whole.

A shard counts once its marker ``_commits/<i>.json`` exists; the marker is written after the
shard is safely on the medium.  `seal` gathers the markers into ``manifest.json`` and then
replaces the array's ``zarr.json``, which until that moment says "0 rows": the one step that
makes the feature visible, to us and to every other Zarr reader.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featstore.errors import CorruptStoreError

COMMITS = "_commits"
MANIFEST = "manifest.json"


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
            **dataclasses.asdict(self),
            "crc32c": list(self.crc32c),
            "excluded": {str(row): reason for row, reason in sorted(self.excluded.items())},
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Commit:
        """Rebuild a commit that `to_json` wrote."""
        excluded = {int(row): reason for row, reason in fields["excluded"].items()}
        return cls(**{**fields, "crc32c": tuple(fields["crc32c"]), "excluded": excluded})


def marker_path(folder: Path, shard: int) -> Path:
    """Marker file of a shard."""
    return folder / COMMITS / f"{shard:08d}.json"


def encode_json(fields: object) -> bytes:
    """Serialise so that equal content gives equal bytes."""
    return json.dumps(fields, sort_keys=True, indent=1, ensure_ascii=False).encode() + b"\n"


def read_commits(folder: Path, spec_digest: str) -> dict[int, Commit]:
    """Read the markers in a feature's folder that belong to this spec."""
    commits = {}
    for path in sorted((folder / COMMITS).glob("*.json")):
        commit = Commit.from_json(json.loads(path.read_bytes()))
        if commit.spec_digest == spec_digest:
            commits[commit.shard] = commit
    return commits


def manifest_digest(manifest: bytes) -> str:
    """Sha256 of a manifest's bytes; the sealed ``zarr.json`` carries it."""
    return hashlib.sha256(manifest).hexdigest()


def read_manifest(folder: Path, digest: str) -> list[Commit]:
    """Read a sealed feature's commits.

    Raises
    ------
    CorruptStoreError
        If the manifest is missing or is not the one that was sealed.
    """
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise CorruptStoreError(
            f"{path} is missing; remove the feature (featstore rm) and extract it again"
        ) from None
    if manifest_digest(content) != digest:
        raise CorruptStoreError(
            f"{path} is not the manifest this feature was sealed with; remove it "
            "(featstore rm) and extract it again"
        )
    return [Commit.from_json(fields) for fields in json.loads(content)["shards"]]
