"""Extraction of corrupted images: pixels, specs, names, and what stays as it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import featstore as fs
from featstore.backbones import load_encoder
from featstore.corruptions import PAPER, CommonCorruption, Jpeg, SaltAndPepper
from featstore.datasets import ImageFolder
from featstore.errors import InvalidInputError, SpecMismatchError
from featstore.extraction import extract_features
from featstore.images import apply, decode
from featstore.spec import BackboneSpec, FeatureSpec
from featstore.store import FeatureStore
from featstore.transform import Transform

NET = "random/resnet18?size=64"
CLEAN = FeatureSpec(
    BackboneSpec("s", "torchvision/resnet50", "V2", "0" * 64, "penultimate", "none", 2048),
    Transform(),
    "float16",
    "fp32",
    "1" * 64,
)


@pytest.fixture(scope="module")
def store(few_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    place = tmp_path_factory.mktemp("corrupted") / "s.zarr"
    corrupt = ["clean", "jpeg10", SaltAndPepper()]
    return fs.extract(few_photos, NET, place, corrupt=corrupt, dtype="float32").store


def test_the_backbone_sees_the_transform_of_the_corrupted_image(
    store: FeatureStore, few_photos: Path
) -> None:
    assert store.features == [
        "random_resnet18",
        "random_resnet18-jpeg10",
        "random_resnet18-salt-pepper0.01",
    ]
    encoder = load_encoder(NET)
    for corruption in (None, Jpeg(10), SaltAndPepper()):
        name = "random_resnet18" + (f"-{corruption.label}" if corruption else "")
        view = store.view(name)
        for row in (0, 59):
            image = decode(few_photos / str(view.ids[row]))
            if corruption is not None:
                image = corruption.apply(image, str(view.ids[row]))
            expected = encoder.encode(apply(image, encoder.transform)[None])[0]
            np.testing.assert_array_equal(view.array()[row], expected)


def test_features_of_one_pass_are_those_of_several(
    store: FeatureStore, few_photos: Path, tmp_path: Path
) -> None:
    alone = fs.extract(
        few_photos, NET, tmp_path / "s.zarr", corrupt="salt-pepper", dtype="float32", batch_size=17
    )
    assert alone.computed == ("random_resnet18-salt-pepper0.01",)
    name = alone.computed[0]
    np.testing.assert_array_equal(alone.store.view(name).array(), store.view(name).array())
    again = fs.extract(few_photos, NET, tmp_path / "s.zarr", corrupt="salt-pepper", dtype="float32")
    assert (again.computed, again.unchanged) == ((), (name,))


def test_a_clean_spec_says_nothing_and_a_corrupted_one_everything() -> None:
    assert CLEAN.digest == "fc323670d3f9894cf1bf671aa566deb8fdd0ceff296da195a840402af6f53e40"
    assert "corruption" not in CLEAN.to_json()
    digests = {CLEAN.digest}
    corruptions = [*PAPER, SaltAndPepper(seed=1), Jpeg(11), CommonCorruption("fog", 2)]
    for corruption in corruptions:
        spec = dataclasses.replace(CLEAN, corruption=corruption)
        assert FeatureSpec.from_json(spec.to_json()) == spec
        digests.add(spec.digest)
    assert len(digests) == 1 + len(corruptions)
    noisy = dataclasses.replace(CLEAN, corruption=Jpeg(10))
    assert noisy.to_json()["corruption"] == {"name": "jpeg", "quality": 10}
    assert noisy.digest == "6e888bebaf5720ab91ed3d5db597cf9f3dd8f5888dd48a1bc71b6fb9e6304858"
    assert "corruption: – | None" not in noisy.differences(CLEAN)
    assert "corruption.quality: 10 | –" in noisy.differences(CLEAN)


def test_another_corruption_is_not_taken_for_this_one(
    few_photos: Path, store: FeatureStore
) -> None:
    dataset = ImageFolder.scan(few_photos)
    with pytest.raises(SpecMismatchError, match="corruption"):
        extract_features(
            dataset,
            {"random_resnet18-jpeg10": load_encoder(NET)},
            store,
            corruptions={"random_resnet18-jpeg10": Jpeg(11)},
            dtype="float32",
        )
    assert fs.verify(store.path) == []


def test_a_corruption_that_does_not_exist_stops_before_anything_is_read(
    few_photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError, match="no corruption 'jpgg'"):
        fs.extract(few_photos, NET, tmp_path / "s.zarr", corrupt="jpgg")
