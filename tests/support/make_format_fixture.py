"""Make the store that every later version must read, and what has to be read from it.

It was run once per format:

    python tests/support/make_format_fixture.py tests/data/format_1

A fixture that exists is never made again: it holds what that version really wrote.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import featstore as fs
from featstore.history import HISTORY
from featstore.samples import Samples, Target
from featstore.seal import encode_metadata
from featstore.shards import ShardLayout
from featstore.spec import BackboneSpec, FeatureSpec
from featstore.store import FeatureStore
from featstore.taxonomy import Taxonomy
from featstore.transform import Transform

N = 300
#: A row whose image could not be read, and rows without a label or a split.
TORN, UNLABELLED, SPARE = 7, (11, 299), (5, 12)
TAGS = {"even": {0, 2, 4, 6, 8}, "prime": {2, 3, 5, 7}, "größer": {5, 6, 7, 8, 9}}


def make_samples(images: NDArray[np.float64], digits: list[int]) -> Samples:
    labels = [None if i in UNLABELLED else f"digit {d}" for i, d in enumerate(digits)]
    tags = [[tag for tag, members in TAGS.items() if d in members] for d in digits]
    splits = ["" if i in SPARE else "test" if i % 3 == 0 else "train" for i in range(N)]
    return Samples(
        ids=np.asarray([f"Ziffern/{d}/№ {i:03d}.png" for i, d in enumerate(digits)]),
        splits=np.asarray(splits),
        targets={"digit": Target.from_labels(labels), "tags": Target.from_label_sets(tags)},
        marks=np.asarray([_png_size(image) for image in images], np.uint64),
    )


def _png_size(image: NDArray[np.float64]) -> int:
    file = io.BytesIO()
    Image.fromarray((image * 15.9375).astype(np.uint8)).save(file, "png")
    return file.tell()


def make_spec(samples: Samples, *, dim: int, dtype: str, layer: str) -> FeatureSpec:
    backbone = BackboneSpec(
        source="digits",
        architecture=f"scikit-learn/{layer}",
        weights="none",
        weights_digest="0" * 64,
        layer=layer,
        pooling="none",
        dim=dim,
    )
    return FeatureSpec(backbone, Transform(size=8, resize=8), dtype, "fp32", samples.digest)  # type: ignore[arg-type]


def write_feature(
    store: FeatureStore, name: str, X: NDArray[np.float32], spec: FeatureSpec, *, n_shards: int
) -> None:
    writer = store.writer(name, spec)
    for shard in range(n_shards):
        rows = writer.layout.shard_range(shard)
        excluded = {TORN: "image file is truncated"} if TORN in rows else None
        writer.put(shard, X[rows.start : rows.stop], excluded=excluded)
    if n_shards == writer.layout.n_shards:
        writer.seal()


def make(path: Path) -> dict[str, NDArray[np.generic]]:
    """Write the store and return what it holds."""
    bunch = load_digits()
    images, digits = bunch.images[:N], bunch.target[:N].tolist()
    samples = make_samples(images, digits)
    pooled = images.reshape(N, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(N, 16).astype(np.float32)
    pca = PCA(3, random_state=0).fit_transform(images.reshape(N, 64)).astype(np.float32)
    source = {"kind": "folder", "root": "digits"}
    store = FeatureStore.create(path, samples, source=source)
    spec = make_spec(samples, dim=16, dtype="float16", layer="pooled")
    # Four chunks to a shard, which so small a feature would not have by itself.
    layout = ShardLayout(N, 16, "float16", shard_rows=128, chunk_rows=32)
    store.feature_folder("pooled").start({"zarr.json": encode_metadata("pooled", spec, layout)})
    write_feature(store, "pooled", pooled, spec, n_shards=3)
    store.feature("pooled").remember({"source": "digits", "transform": "own"})
    spec = make_spec(samples, dim=3, dtype="float32", layer="pca")
    write_feature(store, "pca", pca, spec, n_shards=1)
    spec = make_spec(samples, dim=16, dtype="float32", layer="pooled")
    write_feature(store, "unfinished", pooled, spec, n_shards=1)
    run = fs.probe(
        store,
        ["pooled", "pca"],
        target="digit",
        value=1.0,
        scaling="standardise",
        n_boot=20,
        name="fused",
    )
    halves = ["low" if d < 5 else "high" for d in range(10)]
    frame = pd.DataFrame({"digit": [f"digit {d}" for d in range(10)], "half": halves})
    store.save_taxonomy("halves", Taxonomy.from_frame(frame))
    (path / HISTORY).unlink()
    pooled[TORN] = pca[TORN] = np.nan
    assert run.head is not None
    digit, tags = samples.targets["digit"], samples.targets["tags"]
    return {
        "ids": samples.ids,
        "splits": samples.splits,
        "marks": samples.marks,
        "digit_classes": np.asarray(digit.classes),
        "digit_codes": digit.codes,
        "tags_classes": np.asarray(tags.classes),
        "tags_codes": tags.codes.astype(np.uint8),
        "pooled": pooled.astype(np.float16),
        "pca": pca,
        "run_ids": run.predictions.ids,
        "run_truth": run.predictions.truth.astype(np.int32),
        "run_scores": run.predictions.scores,
        "run_top1": np.asarray([run.accuracy]),
        "head_coef": run.head.coef,
        "head_mean": run.head.scaling.mean,
    }  # type: ignore[dict-item]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="without its endings, .zarr and .npz")
    out = parser.parse_args().out
    if out.with_suffix(".zarr").exists():
        parser.error(f"{out}.zarr exists")
    np.savez_compressed(out.with_suffix(".npz"), **make(out.with_suffix(".zarr")))
