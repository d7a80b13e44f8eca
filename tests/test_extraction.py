"""Extraction: real photos, real networks (seeded weights where pretrained ones do not matter)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kill_writers import tree_digest
from numpy.typing import NDArray
from PIL import Image

import featstore as fs
from featstore.backbones import load_encoder
from featstore.datasets import ImageFolder
from featstore.errors import InvalidInputError, SpecMismatchError, UnreadableImageError
from featstore.extraction import extract_features
from featstore.images import load_pixels
from featstore.spec import FeatureSpec
from featstore.store import FeatureStore

NET = "random/resnet18?size=64"
OTHER = "random/mobilenet_v3_small?size=96"


@dataclass(frozen=True)
class Interrupting:
    """An encoder during whose n-th batch somebody presses Ctrl-C."""

    encoder: Any
    batches: Iterator[int]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.encoder, name)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        if next(self.batches, None) is None:
            raise KeyboardInterrupt
        return self.encoder.encode(pixels)


def test_features_are_those_of_the_encoder_in_the_order_of_the_ids(
    photos: Path, tmp_path: Path
) -> None:
    result = fs.extract(photos, [NET, OTHER], tmp_path / "s.zarr", batch_size=100, dtype="float32")
    assert result.computed == ("random_resnet18", "random_mobilenet_v3_small")
    assert result.images == 600
    for source, name in ((NET, "random_resnet18"), (OTHER, "random_mobilenet_v3_small")):
        encoder = load_encoder(source)
        view = result.store.view(name)
        for row in (0, 1, 255, 256, 599):
            pixels = load_pixels(photos / str(view.ids[row]), encoder.transform)
            np.testing.assert_array_equal(view.array()[row], encoder.encode(pixels[None])[0])


@pytest.mark.parametrize("batches", [0, 1, 4])
def test_interrupted_extraction_resumes_bit_identically(
    photos: Path, tmp_path: Path, batches: int
) -> None:
    dataset = ImageFolder.scan(photos)
    encoder = load_encoder(NET)
    stores = [
        FeatureStore.create(tmp_path / f"{name}.zarr", dataset.samples, source=dataset.source)
        for name in ("whole", "interrupted")
    ]
    extract_features(dataset, {"x": encoder}, stores[0])
    with pytest.raises(KeyboardInterrupt):
        extract_features(dataset, {"x": Interrupting(encoder, iter(range(batches)))}, stores[1])
    assert not stores[1].feature("x").sealed
    resumed = extract_features(dataset, {"x": encoder}, stores[1])
    assert resumed.images == 600 - batches // 2 * 256
    assert tree_digest(stores[0].path) == tree_digest(stores[1].path)


def test_a_repeated_command_loads_nothing(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs.extract(photos, [NET], tmp_path / "s.zarr")
    monkeypatch.setattr("featstore.backbones.load_encoder", None)
    again = fs.extract(photos, [NET], tmp_path / "s.zarr")
    assert (again.computed, again.unchanged, again.images) == ((), ("random_resnet18",), 0)


def test_an_added_backbone_is_all_that_is_computed(photos: Path, tmp_path: Path) -> None:
    fs.extract(photos, [NET], tmp_path / "s.zarr")
    second = fs.extract(photos, [NET, OTHER], tmp_path / "s.zarr")
    assert second.computed == ("random_mobilenet_v3_small",)
    assert second.unchanged == ("random_resnet18",)


def test_another_transform_under_the_same_name_is_refused(photos: Path, tmp_path: Path) -> None:
    fs.extract(photos, [NET], tmp_path / "s.zarr")
    with pytest.raises(SpecMismatchError, match=r"geometry: resize-crop \| crop-resize"):
        fs.extract(photos, [NET], tmp_path / "s.zarr", transform="paper")
    named = fs.extract(photos, [f"paper={NET}"], tmp_path / "s.zarr", transform="paper")
    assert named.computed == ("paper",)


def test_two_backbones_of_one_name_are_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="stored as 'random_resnet18'"):
        fs.extract(photos, [NET, f"{NET}&seed=1"], tmp_path / "s.zarr")


@pytest.fixture
def small(photos: Path, tmp_path: Path) -> Path:
    """Return a folder of a few photos that a test may spoil."""
    root = tmp_path / "small"
    for path in sorted(photos.glob("train/*/*.jpg"))[::20]:
        copy = root / path.relative_to(photos)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return root


def test_an_unreadable_image_is_named(small: Path, tmp_path: Path) -> None:
    victim = sorted(small.rglob("*.jpg"))[3]
    victim.write_bytes(victim.read_bytes()[:2000])
    with pytest.raises(UnreadableImageError, match=f"{victim.name}.*--on-error skip"):
        fs.extract(small, [NET], tmp_path / "s.zarr")
    result = fs.extract(small, [NET], tmp_path / "s.zarr", on_error="skip")
    assert list(result.excluded) == [3]
    assert victim.name in result.excluded[3]
    view = result.store.view("random_resnet18")
    assert str(victim.relative_to(small)) not in view.ids
    assert np.isfinite(view.array()).all()
    again = fs.extract(small, [NET], tmp_path / "s.zarr", on_error="skip")
    assert list(again.excluded) == [3]


def test_changed_images_are_noticed(small: Path, tmp_path: Path) -> None:
    fs.extract(small, [NET], tmp_path / "s.zarr")
    victim = sorted(small.rglob("*.jpg"))[0]
    victim.write_bytes(victim.read_bytes() + b"\0")
    with pytest.raises(InvalidInputError, match="1 of another file size"):
        fs.extract(small, [OTHER], tmp_path / "s.zarr")
    victim.unlink()
    with pytest.raises(InvalidInputError, match="1 missing"):
        fs.extract(small, [OTHER], tmp_path / "s.zarr")


def test_odd_image_modes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grey16 = rng.integers(0, 2**16, (80, 90), np.uint16)
    rgb = Image.fromarray(rng.integers(0, 256, (80, 90, 3), np.uint8))
    images = {
        "a/cmyk.jpg": rgb.convert("CMYK"),
        "a/grey16.png": Image.fromarray(grey16),
        "b/palette.png": rgb.quantize(16),
        "b/alpha.png": rgb.convert("RGBA"),
        "b/bits.png": rgb.convert("1"),
    }
    for name, image in images.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.save(tmp_path / name)
    result = fs.extract(tmp_path, [NET], tmp_path / "s.zarr")
    assert not result.excluded
    assert len(result.store.view("random_resnet18").rows) == 5


def test_memory_that_does_not_suffice_halves_the_batch(small: Path, tmp_path: Path) -> None:
    dataset = ImageFolder.scan(small)
    encoder = load_encoder(NET)
    sizes = []

    @dataclass(frozen=True)
    class Tight:
        encoder: Any

        def __getattr__(self, name: str) -> Any:
            return getattr(self.encoder, name)

        def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            if len(pixels) > 10:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
            sizes.append(len(pixels))
            return self.encoder.encode(pixels)

    store = FeatureStore.create(tmp_path / "s.zarr", dataset.samples)
    extract_features(dataset, {"x": Tight(encoder), "y": encoder}, store, dtype="float32")
    assert max(sizes) <= 10
    np.testing.assert_array_equal(store.view("x").array(), store.view("y").array())


SHARE = """
import sys
import featstore as fs
result = fs.extract(sys.argv[1], sys.argv[2], sys.argv[3], batch_size=32, progress=False)
print(result.images)
"""


def test_two_processes_divide_the_work(photos: Path, tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SHARE, str(photos), NET, str(tmp_path / "shared.zarr")],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
        )
        for _ in range(2)
    ]
    images = [int(process.communicate()[0]) for process in processes]
    assert sum(images) == 600
    alone = fs.extract(photos, [NET], tmp_path / "alone.zarr", batch_size=32)
    assert fs.verify(FeatureStore.open(tmp_path / "shared.zarr")) == []
    assert tree_digest(tmp_path / "shared.zarr") == tree_digest(alone.store.path)


def test_a_claimed_shard_is_left_to_its_owner_until_that_gives_up(
    photos: Path, tmp_path: Path
) -> None:
    dataset = ImageFolder.scan(photos)
    encoder = load_encoder(NET)
    store = FeatureStore.create(tmp_path / "s.zarr", dataset.samples, source=dataset.source)
    spec = FeatureSpec(
        encoder.spec, encoder.transform, "float16", encoder.numerics, dataset.samples.digest
    )
    owner = store.writer("x", spec)
    assert owner.claim(1)
    assert not store.writer("x", spec).claim(1)
    threading.Timer(1.5, owner.release).start()
    result = extract_features(dataset, {"x": encoder}, store)
    assert result.images == 600
    assert store.feature("x").sealed
    assert not owner.claim(1)
