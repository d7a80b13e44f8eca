"""featstore: sharded Zarr v3, crc32c of every chunk, committed shard by shard.

The row table (ids), which the other formats do not have, is written before the clock starts;
opening the store includes reading it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.samples import Samples
from featstore.spec import BackboneSpec, FeatureSpec
from featstore.store import FeatureStore
from featstore.transform import Transform
from featstore.view import View
from store_harness.workload import SHUFFLE

_FEATURE = "values"


class FeatstoreReader:
    """Reads through a view."""

    def __init__(self, view: View) -> None:
        self._view = view
        view.array()  # a view maps the values at first use; that belongs to opening

    def load(self) -> NDArray[Any]:
        return self._view.load()

    def load_into(self, out: NDArray[Any]) -> None:
        self._view.load(out=out)

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        return self._view.batches(rows)

    def gather(self, index: NDArray[np.intp]) -> NDArray[Any]:
        return self._view.take(index)

    def batches(self, index: Sequence[NDArray[np.intp]]) -> Iterator[NDArray[Any]]:
        size = len(index[0])
        out = np.empty((size, self._view.shape[1]), self._view.dtype)
        if sum(map(len, index)) == len(self._view):
            yield from self._view.batches(size, shuffle=SHUFFLE, out=out)
            return
        for rows, following in zip_longest(index, index[1:], fillvalue=index[0][:0]):
            self._view.prefetch(following)
            yield self._view.take(rows, out=out[: len(rows)])

    def close(self) -> None:
        del self._view


class Featstore:
    """A store with one feature."""

    name = "featstore"
    packages = ("featstore",)
    most_rows = None

    def __init__(self) -> None:
        self._prepared: dict[Path, FeatureStore] = {}

    def prepare(self, path: Path, X: NDArray[Any]) -> None:
        ids = np.asarray([f"{row:08d}.jpg" for row in range(len(X))])
        samples = Samples(ids=ids, splits=np.full(len(X), "train"), targets={})
        store = FeatureStore.create(path / "store.zarr", samples)
        _ = store.samples  # an extraction has them at hand, too
        self._prepared[path] = store

    def write(self, path: Path, X: NDArray[Any]) -> None:
        store = self._prepared.pop(path)
        backbone = BackboneSpec(
            source="benchmark",
            architecture="benchmark",
            weights="none",
            weights_digest="0" * 64,
            layer="penultimate",
            pooling="none",
            dim=X.shape[1],
        )
        dtype: Any = X.dtype.name
        spec = FeatureSpec(backbone, Transform(), dtype, "fp32", store.samples.digest)
        writer = store.writer(_FEATURE, spec)
        for shard in writer.pending():
            rows = writer.layout.shard_range(shard)
            writer.put(shard, X[rows.start : rows.stop], wait=False)
        writer.seal()

    def open(self, path: Path) -> FeatstoreReader:
        return FeatstoreReader(FeatureStore.open(path / "store.zarr").view(_FEATURE))


FORMAT = Featstore()
