"""Small stores with known values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featstore.samples import Samples, Target
from featstore.spec import BackboneSpec, FeatureSpec
from featstore.store import FeatureStore
from featstore.transform import Transform


def make_spec(
    samples: Samples, *, dim: int, dtype: str = "float16", weights: str = "0"
) -> FeatureSpec:
    backbone = BackboneSpec(
        source="test/net",
        architecture="test/net",
        weights="none",
        weights_digest=weights * 64,
        layer="penultimate",
        pooling="none",
        dim=dim,
    )
    return FeatureSpec(backbone, Transform(), dtype, "fp32", samples.digest)  # type: ignore[arg-type]


def make_samples(n: int, *, n_classes: int = 3, n_test: int | None = None) -> Samples:
    """Samples with a single- and a multi-label target; ids beyond ASCII."""
    n_test = n // 4 if n_test is None else n_test
    labels = [f"class {i % n_classes}" for i in range(n)]
    tags = [["ä", "b"][: i % 3] for i in range(n)]
    return Samples(
        ids=np.asarray([f"ü/{i:06d}.jpg" for i in range(n)]),
        splits=np.asarray(["train"] * (n - n_test) + ["test"] * n_test),
        targets={"label": Target.from_labels(labels), "tags": Target.from_label_sets(tags)},
        marks=np.arange(n, dtype=np.uint64),
    )


def part(samples: Samples, rows: NDArray[np.intp]) -> Samples:
    """Return some rows of a table; classes that no longer occur stay."""
    return Samples(
        ids=samples.ids[rows],
        splits=samples.splits[rows],
        targets={
            name: Target(target.kind, target.classes, target.codes[rows])
            for name, target in samples.targets.items()
        },
        marks=None if samples.marks is None else samples.marks[rows],
    )


def fill(store: FeatureStore, name: str, X: NDArray[np.float32], **spec: str) -> None:
    """Write a whole feature."""
    writer = store.writer(name, make_spec(store.samples, dim=X.shape[1], **spec))  # type: ignore[arg-type]
    for shard in writer.pending():
        rows = writer.layout.shard_range(shard)
        writer.put(shard, X[rows.start : rows.stop])
    writer.seal()
