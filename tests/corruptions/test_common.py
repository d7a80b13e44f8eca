"""The common corruptions: the package's own pixels, seeded by the image's id."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import featstore as fs
from featstore.corruptions import KINDS, CommonCorruption
from featstore.corruptions.common import PACKAGE
from featstore.corruptions.image_seed import image_seed
from featstore.errors import MissingDependencyError, UnreadableImageError
from featstore.images import decode

NO_PACKAGE = "imagecorruptions-imaug, the extra `corruptions`, is not installed"


@pytest.fixture(scope="module")
def image(photos: Path) -> Image.Image:
    return decode(sorted(photos.glob("*/*/*.jpg"))[0]).resize((96, 128))


def needs_package() -> None:
    from importlib import metadata

    try:
        metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        pytest.skip(NO_PACKAGE)


def test_names_are_those_of_the_package() -> None:
    needs_package()
    from imagecorruptions import get_corruption_names

    assert tuple(get_corruption_names()) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_corrupted_in_one_way(image: Image.Image, kind: str) -> None:
    needs_package()
    corruption = CommonCorruption(kind, 3)
    np.random.seed(5)  # noqa: NPY002 - what must not change, and must not matter
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    first = corruption.apply(image, "a.jpg")
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
    np.random.seed(6)  # noqa: NPY002
    with ThreadPoolExecutor(2) as threads:
        for again in threads.map(lambda _: corruption.apply(image, "a.jpg"), range(4)):
            np.testing.assert_array_equal(again, first)
    assert first.size == image.size
    assert (np.asarray(first) != np.asarray(image)).any()


@pytest.mark.parametrize("kind", ["gaussian_noise", "motion_blur", "frost", "impulse_noise"])
def test_another_image_or_seed_has_other_noise(image: Image.Image, kind: str) -> None:
    needs_package()
    made = [
        np.asarray(CommonCorruption(kind, 3, seed).apply(image, identity))
        for identity, seed in (("a.jpg", 0), ("b.jpg", 0), ("a.jpg", 1))
    ]
    assert (made[0] != made[1]).any()
    assert (made[0] != made[2]).any()


def test_pixels_are_those_of_the_definition(image: Image.Image) -> None:
    needs_package()
    pixels = np.asarray(image) / 255
    draws = np.random.RandomState(
        [
            image_seed("gaussian_noise", 0, "a.jpg") >> shift & 0xFFFFFFFF
            for shift in (0, 32, 64, 96)
        ]
    )
    noisy = np.clip(pixels + draws.normal(size=pixels.shape, scale=0.18), 0, 1)
    corrupted = CommonCorruption("gaussian_noise", 3).apply(image, "a.jpg")
    np.testing.assert_array_equal(corrupted, np.uint8(noisy * 255))
    means = pixels.mean(axis=(0, 1), keepdims=True)
    paler = np.clip((pixels - means) * 0.2 + means, 0, 1)
    np.testing.assert_array_equal(
        CommonCorruption("contrast", 3).apply(image, "a.jpg"), np.uint8(paler * 255)
    )


def test_nothing_is_printed(image: Image.Image, capfd: pytest.CaptureFixture[str]) -> None:
    needs_package()
    for kind in ("zoom_blur", "snow"):
        CommonCorruption(kind, 5).apply(image.resize((97, 131)), "a.jpg")
    assert capfd.readouterr().out == ""


def test_small_images_are_named() -> None:
    needs_package()
    with pytest.raises(UnreadableImageError, match=r"'a\.jpg' of 31 x 40 pixels is too small"):
        CommonCorruption("fog", 1).apply(Image.new("RGB", (31, 40)), "a.jpg")


def test_without_the_package_the_extra_is_named(
    image: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featstore.corruptions.common.PACKAGE", "no-such-package")
    with pytest.raises(MissingDependencyError, match=r"featstore\[corruptions\]"):
        CommonCorruption("fog", 1).apply(image, "a.jpg")


def test_a_missing_package_is_said_before_weights_are_loaded(
    few_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featstore.corruptions.common.PACKAGE", "no-such-package")
    monkeypatch.setattr("featstore.backbones.load_encoder", None)
    source = "torchvision/resnet18"
    for ask in (
        lambda: fs.extract(few_photos, source, tmp_path / "s.zarr", corrupt=["clean", "fog-3"]),
        lambda: fs.corrupt_images(few_photos, "fog-3", tmp_path / "copy"),
    ):
        with pytest.raises(MissingDependencyError, match=r"featstore\[corruptions\]"):
            ask()
    assert not (tmp_path / ".copy.partial").exists()
