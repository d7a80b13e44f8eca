"""tensorstore: the layout that featstore writes, by Google's C++ library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts
from numpy.typing import NDArray

from featstore.shards import ShardLayout
from store_formats.durable import flush

#: Writes under way: enough for two cores, without holding the whole matrix.
_IN_FLIGHT = 4


class TensorstoreReader:
    """Reads an array."""

    def __init__(self, path: Path) -> None:
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)}}
        self._array = ts.open(spec, open=True).result()

    def load(self) -> NDArray[Any]:
        return np.asarray(self._array.read().result())

    def load_into(self, out: NDArray[Any]) -> None:
        raise NotImplementedError("tensorstore reads into arrays of its own")

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        for start in range(0, self._array.shape[0], rows):
            stop = min(start + rows, self._array.shape[0])
            yield np.asarray(self._array[start:stop].read().result())

    def gather(self, index: NDArray[np.intp]) -> NDArray[Any]:
        return np.asarray(self._array[index].read().result())

    def batches(self, index: Sequence[NDArray[np.intp]]) -> Iterator[NDArray[Any]]:
        for rows in index:
            yield self.gather(rows)

    def close(self) -> None:
        del self._array


class Tensorstore:
    """One array."""

    name = "tensorstore"
    packages = ("tensorstore",)
    most_rows = None

    def prepare(self, path: Path, X: NDArray[Any]) -> None:
        pass

    def write(self, path: Path, X: NDArray[Any]) -> None:
        layout = ShardLayout.choose(len(X), X.shape[1], X.dtype.name)
        metadata = layout.metadata(len(X), {})
        spec = {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": str(path / "values.zarr")},
            "metadata": {
                key: metadata[key] for key in ("shape", "data_type", "chunk_grid", "codecs")
            },
        }
        array = ts.open(spec, create=True, open=False).result()
        futures: list[Any] = []
        for shard in range(layout.n_shards):
            rows = layout.shard_range(shard)
            if shard >= _IN_FLIGHT:
                futures[shard - _IN_FLIGHT].result()
            futures.append(array[rows.start : rows.stop].write(X[rows.start : rows.stop]))
        for future in futures:
            future.result()
        flush(path / "values.zarr")  # the library flushes files, this adds the folders

    def open(self, path: Path) -> TensorstoreReader:
        return TensorstoreReader(path / "values.zarr")


FORMAT = Tensorstore()
