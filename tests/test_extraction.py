"""Extraction: real photos, real networks (seeded weights where pretrained ones do not matter)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kill_writers import tree_digest
from numpy.typing import NDArray
from PIL import Image
from tiny_images import Projection, TinyImages

import featstore as fs
from featstore.backbones import load_encoder
from featstore.datasets import ImageFolder
from featstore.errors import InvalidInputError, SpecMismatchError, UnreadableImageError
from featstore.extraction import extract_features
from featstore.images import load_pixels
from featstore.spec import FeatureSpec
from featstore.store import FeatureStore

NET = "random/resnet18?size=32"
OTHER = "random/mobilenet_v3_small?size=64"


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


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Return a store with a feature of all photos."""
    return fs.extract(photos, [NET], tmp_path_factory.mktemp("whole") / "s.zarr").store


@pytest.fixture
def copied(whole: FeatureStore, tmp_path: Path) -> Path:
    """Return the path of a copy that a test may change."""
    return Path(shutil.copytree(whole.path, tmp_path / "s.zarr"))


def test_features_are_those_of_the_encoder_in_the_order_of_the_ids(
    photos: Path, tmp_path: Path
) -> None:
    result = fs.extract(photos, [NET, OTHER], tmp_path / "s.zarr", batch_size=100, dtype="float32")
    assert result.computed == ("random_resnet18", "random_mobilenet_v3_small")
    assert result.images == 300
    for source, name in ((NET, "random_resnet18"), (OTHER, "random_mobilenet_v3_small")):
        encoder = load_encoder(source)
        view = result.store.view(name)
        for row in (0, 1, 255, 256, 299):
            pixels = load_pixels(photos / str(view.ids[row]), encoder.transform)
            np.testing.assert_array_equal(view.array()[row], encoder.encode(pixels[None])[0])


@pytest.mark.parametrize("batches", [1, 2])
def test_interrupted_extraction_resumes_bit_identically(
    photos: Path,
    whole: FeatureStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    batches: int,
) -> None:
    interrupting = Interrupting(load_encoder(NET), iter(range(batches)))
    monkeypatch.setattr("featstore.backbones.load_encoder", lambda *_, **__: interrupting)
    with pytest.raises(KeyboardInterrupt):
        fs.extract(photos, [NET], tmp_path / "s.zarr")
    assert not FeatureStore.open(tmp_path / "s.zarr").feature("random_resnet18").sealed
    monkeypatch.undo()
    resumed = fs.extract(photos, [NET], tmp_path / "s.zarr")
    assert resumed.images == 300 - batches // 2 * 256
    assert tree_digest(resumed.store.path) == tree_digest(whole.path)


def test_a_repeated_command_loads_nothing(
    photos: Path, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featstore.backbones.load_encoder", None)
    again = fs.extract(photos, [NET], copied)
    assert (again.computed, again.unchanged, again.images) == ((), ("random_resnet18",), 0)


def test_an_added_backbone_is_all_that_is_computed(photos: Path, copied: Path) -> None:
    second = fs.extract(photos, [NET, OTHER], copied)
    assert second.computed == ("random_mobilenet_v3_small",)
    assert second.unchanged == ("random_resnet18",)


def test_another_transform_under_the_same_name_is_refused(photos: Path, copied: Path) -> None:
    with pytest.raises(SpecMismatchError, match=r"geometry: resize-crop \| crop-resize"):
        fs.extract(photos, [NET], copied, transform="paper")
    named = fs.extract(photos, [f"paper={NET}"], copied, transform="paper")
    assert named.computed == ("paper",)


def test_two_backbones_of_one_name_are_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="stored as 'random_resnet18'"):
        fs.extract(photos, [NET, f"{NET}&seed=1"], tmp_path / "s.zarr")


@pytest.fixture
def small(photos: Path, tmp_path: Path) -> Path:
    """Return a folder of a few photos that a test may spoil."""
    root = tmp_path / "small"
    for path in sorted(photos.glob("train/*/*.jpg"))[::10]:
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
import time
from tiny_images import Projection, TinyImages
from featstore.extraction import extract_features
from featstore.store import FeatureStore

class Slow(Projection):
    def encode(self, pixels):
        time.sleep(0.02)
        return super().encode(pixels)

store = FeatureStore.open(sys.argv[1])
print(extract_features(TinyImages(1000), {"x": Slow()}, store, batch_size=32).images)
"""


def test_two_processes_divide_the_work(tmp_path: Path) -> None:
    images = TinyImages(1000)
    alone, shared = (
        FeatureStore.create(tmp_path / f"{name}.zarr", images.samples, source=images.source)
        for name in ("alone", "shared")
    )
    path = os.pathsep.join(p for p in sys.path if p)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SHARE, str(shared.path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "OMP_WAIT_POLICY": "PASSIVE"},
        )
        for _ in range(2)
    ]
    counts = [int(process.communicate()[0]) for process in processes]
    assert sum(counts) == 1000
    assert fs.verify(shared) == []
    extract_features(images, {"x": Projection()}, alone)
    assert tree_digest(shared.path) == tree_digest(alone.path)


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
    threading.Timer(0.5, owner.release).start()
    result = extract_features(dataset, {"x": encoder}, store)
    assert result.images == 300
    assert store.feature("x").sealed
    assert not owner.claim(1)


def test_a_feature_that_another_seals_meanwhile_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, encoder = TinyImages(300), Projection()
    store = FeatureStore.create(tmp_path / "s.zarr", images.samples)
    spec = FeatureSpec(
        encoder.spec, encoder.transform, "float16", encoder.numerics, images.samples.digest
    )
    other = store.writer("x", spec)
    assert other.claim(1)

    def work_on(_: object) -> None:
        other.put(1, np.ones((44, encoder.dim), np.float32))
        while other.pending():  # the first is being committed
            time.sleep(0.01)
        other.seal()

    monkeypatch.setattr("featstore.sharing.SharedWork.wait", work_on)
    result = extract_features(images, {"x": encoder}, store)
    assert (result.images, result.unfinished) == (256, {})
    np.testing.assert_array_equal(store.view("x").array()[256:], 1)
