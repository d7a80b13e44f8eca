"""zarr-python: the layout that featstore writes, by Zarr's own reader and writer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.buffer import default_buffer_prototype

from featstore.shards import ShardLayout
from store_formats.durable import flush

_PIPELINE = "zarr.core.codec_pipeline.BatchedCodecPipeline"


class ZarrReader:
    """Reads an array; `pipeline` names the class that decodes its chunks."""

    def __init__(self, path: Path, pipeline: str) -> None:
        with zarr.config.set({"codec_pipeline.path": pipeline}):
            self._array: Any = zarr.open_array(path, mode="r")

    def load(self) -> NDArray[Any]:
        return np.asarray(self._array[:])

    def load_into(self, out: NDArray[Any]) -> None:
        buffer = default_buffer_prototype().nd_buffer.from_ndarray_like(out)  # type: ignore[arg-type]
        self._array.get_basic_selection(..., out=buffer)

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        for start in range(0, self._array.shape[0], rows):
            yield np.ascontiguousarray(self._array[start : start + rows])

    def gather(self, index: NDArray[np.intp]) -> NDArray[Any]:
        return np.asarray(self._array.oindex[index])

    def batches(self, index: Sequence[NDArray[np.intp]]) -> Iterator[NDArray[Any]]:
        for rows in index:
            yield self.gather(rows)

    def close(self) -> None:
        del self._array


class ZarrPython:
    """One array.

    Parameters
    ----------
    name, packages
        For tables.
    pipeline
        Class that encodes and decodes chunks.
    """

    most_rows = None

    def __init__(
        self,
        name: str = "zarr-python",
        packages: tuple[str, ...] = ("zarr",),
        pipeline: str = _PIPELINE,
    ) -> None:
        self.name = name
        self.packages = packages
        self._pipeline = pipeline

    def prepare(self, path: Path, X: NDArray[Any]) -> None:
        pass

    def write(self, path: Path, X: NDArray[Any]) -> None:
        layout = ShardLayout.choose(len(X), X.shape[1], X.dtype.name)
        with zarr.config.set(
            {"codec_pipeline.path": self._pipeline, "array.write_empty_chunks": True}
        ):
            array = zarr.create_array(
                path / "values.zarr",
                shape=X.shape,
                dtype=X.dtype,
                chunks=(layout.chunk_rows, X.shape[1]),
                shards=(layout.shard_rows, X.shape[1]),
                compressors=None,
            )
            for shard in range(layout.n_shards):
                rows = layout.shard_range(shard)
                array[rows.start : rows.stop] = X[rows.start : rows.stop]
        flush(path / "values.zarr")

    def open(self, path: Path) -> ZarrReader:
        return ZarrReader(path / "values.zarr", self._pipeline)


FORMAT = ZarrPython()
