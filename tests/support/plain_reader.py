"""A reader of stores that needs json and NumPy only, written from docs/format.md alone.

It knows nothing of featstore, of Zarr or of checksums' libraries, so that it can tell whether the
page says enough.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

KNOWN_FORMAT = 1


class PlainStore:
    """A store, read by its description."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.attributes = self.document("zarr.json")["attributes"]["featstore"]
        if self.attributes["format"] > KNOWN_FORMAT:
            raise ValueError(f"format {self.attributes['format']}")

    def document(self, name: str) -> Any:
        """Return a JSON document; a NaN in it would be an error."""

        def refuse(constant: str) -> None:
            raise ValueError(f"{name} holds {constant}, which is no JSON")

        return json.loads((self.path / name).read_bytes(), parse_constant=refuse)

    def names(self, kind: str) -> list[str]:
        folder = self.path / kind
        return sorted(
            entry.name
            for entry in (folder.iterdir() if folder.is_dir() else ())
            if entry.is_dir() and entry.name[0] not in "._"
        )

    def plain_array(self, name: str) -> NDArray[Any]:
        metadata = self.document(f"{name}/zarr.json")
        if [codec["name"] for codec in metadata["codecs"]] != ["bytes"]:
            raise ValueError(f"{name} is not a plain array")
        dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
        shape = metadata["shape"]
        chunk_shape = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        parts = []
        for i in range(max(-(-shape[0] // chunk_shape[0]), 0)):
            key = "/".join(["c", str(i), *("0" for _ in shape[1:])])
            chunk = np.frombuffer((self.path / name / key).read_bytes(), dtype)
            parts.append(chunk.reshape(chunk_shape)[tuple(slice(length) for length in shape)])
        if not parts:
            return np.empty(shape, dtype)
        return np.concatenate(parts)[: shape[0]]

    def texts(self, folder: str) -> list[str]:
        raw = self.plain_array(f"{folder}/ids").tobytes()
        offsets = self.plain_array(f"{folder}/id_offsets").tolist()
        return [raw[a:b].decode() for a, b in itertools.pairwise(offsets)]

    # Samples

    def ids(self) -> list[str]:
        return self.texts("samples")

    def splits(self) -> list[str]:
        names = self.document("samples/split/zarr.json")["attributes"]["names"]
        return ["" if code < 0 else names[code] for code in self.plain_array("samples/split")]

    def marks(self) -> NDArray[np.uint64] | None:
        has_marks = (self.path / "samples" / "marks").is_dir()
        return self.plain_array("samples/marks") if has_marks else None

    def weights(self) -> NDArray[np.float64] | None:
        has_weights = (self.path / "samples" / "weights").is_dir()
        return self.plain_array("samples/weights") if has_weights else None

    def targets(self) -> dict[str, tuple[str, list[str], NDArray[Any]]]:
        """Kind, classes and codes of every target, in order."""
        found = {}
        for name in self.document("samples/zarr.json")["attributes"]["targets"]:
            attributes = self.document(f"samples/targets/{name}/zarr.json")["attributes"]
            if attributes["kind"] in ("single", "multi"):
                codes = self.plain_array(f"samples/targets/{name}")
                found[name] = (attributes["kind"], attributes["classes"], codes)
        return found

    # Features

    def layout(self, name: str) -> tuple[list[int], np.dtype[Any], int, int]:
        """Shape, type, and rows of a shard and of a chunk."""
        metadata = self.document(f"features/{name}/zarr.json")
        (sharding,) = metadata["codecs"]
        if sharding["name"] != "sharding_indexed":
            raise ValueError(f"{name} is not what featstore writes")
        inner = sharding["configuration"]
        if [codec["name"] for codec in inner["codecs"]] != ["bytes"]:
            raise ValueError(f"{name} is not what featstore writes")
        shard_rows = metadata["chunk_grid"]["configuration"]["chunk_shape"][0]
        dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
        return metadata["shape"], dtype, shard_rows, inner["chunk_shape"][0]

    def row(self, name: str, i: int) -> NDArray[Any]:
        """One row, by arithmetic alone."""
        (_, dim), dtype, shard_rows, _ = self.layout(name)
        nbytes = dim * dtype.itemsize
        with (self.path / "features" / name / "c" / str(i // shard_rows) / "0").open("rb") as file:
            file.seek(i % shard_rows * nbytes)
            return np.frombuffer(file.read(nbytes), dtype)

    def feature(self, name: str) -> NDArray[Any]:
        """All rows, each chunk looked up in its shard's index."""
        (n, dim), dtype, shard_rows, chunk_rows = self.layout(name)
        chunks = [np.empty((0, dim), dtype)]
        for shard in range(-(-n // shard_rows)):
            content = (self.path / "features" / name / "c" / str(shard) / "0").read_bytes()
            n_entries = shard_rows // chunk_rows
            index = np.frombuffer(content[-4 - 16 * n_entries : -4], "<u8").reshape(-1, 2)
            for offset, length in index.tolist():
                if offset != 2**64 - 1:
                    chunk = np.frombuffer(content[offset : offset + length], dtype)
                    chunks.append(chunk.reshape(chunk_rows, dim))
        return np.concatenate(chunks)[:n]

    def excluded(self, name: str) -> dict[int, str]:
        shards = self.document(f"features/{name}/manifest.json")["shards"]
        return {int(row): why for shard in shards for row, why in shard["excluded"].items()}

    # Subsets, runs and taxonomies

    def subset(self, name: str) -> tuple[dict[str, Any], NDArray[Any]]:
        """What is said about a subset, and its rows."""
        fields = self.document(f"subsets/{name}/zarr.json")["attributes"]["subset"]
        return fields, self.plain_array(f"subsets/{name}/rows")

    def run(self, name: str) -> tuple[dict[str, Any], list[str], dict[str, NDArray[Any]]]:
        """What is said about a run, the ids of its rows, and its arrays."""
        folder = f"runs/{name}"
        arrays = [entry.parent.name for entry in (self.path / folder).glob("*/zarr.json")]
        fields = self.document(f"{folder}/zarr.json")["attributes"]["run"]
        columns = {array: self.plain_array(f"{folder}/{array}") for array in arrays}
        return fields, self.texts(folder), columns

    def taxonomy(self, name: str) -> Any:
        return self.document(f"taxonomies/{name}/zarr.json")["attributes"]["taxonomy"]
