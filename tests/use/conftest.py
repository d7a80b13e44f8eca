"""A store of 60 real photos with two small networks, and runs on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from digits_store import digits

import featstore as fs
from featstore.run import ProbeRun
from featstore.store import FeatureStore


@pytest.fixture(scope="module")
def store(few_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Return a store with the features small and wide, and the targets label and tags."""
    folder = tmp_path_factory.mktemp("use")
    lines = []
    for path in sorted(few_photos.glob("*/*/*.jpg")):
        split, label, _ = path.relative_to(few_photos).parts
        tags = [tag for tag in ("a", "e", "o") if tag in label]
        name = path.relative_to(few_photos).as_posix()
        lines.append({"path": name, "split": split, "label": label, "tags": ";".join(tags)})
    table = folder / "photos.csv"
    pd.DataFrame(lines).to_csv(table, index=False)
    backbones = ["small=random/resnet18?size=32", "wide=random/vit_tiny_patch16_224?size=32&seed=1"]
    dataset = fs.open_dataset(table, root=few_photos, multilabel=["tags"])
    return fs.extract(dataset, backbones, folder / "s.zarr", device="cpu").store


@pytest.fixture(scope="module")
def run(store: FeatureStore) -> ProbeRun:
    return fs.probe(store, "small", value=1.0, n_boot=50, name="plain")


@pytest.fixture(scope="module")
def fused(store: FeatureStore) -> ProbeRun:
    return fs.probe(
        store, ["small", "wide"], value=1.0, scaling="standardise", n_boot=50, name="fused"
    )


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureStore, str]:
    """Return a store of imported features, and the name of its run."""
    X, y = digits()
    folder = tmp_path_factory.mktemp("digits")
    splits = np.where(np.arange(len(X)) < 1000, "train", "test")
    made = fs.ForeignFeatures.from_array(
        X, ids=[f"{i}.png" for i in range(len(X))], labels={"digit": y.tolist()}, splits=splits
    )
    fs.import_features(made, folder / "d.zarr", name="pixels")
    opened = fs.open(folder / "d.zarr")
    return opened, fs.probe(opened, "pixels", value=1.0, n_boot=50).name
