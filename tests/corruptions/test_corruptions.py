"""The paper's artifacts on real photos, against the definitions written out in NumPy."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featstore.corruptions import (
    COMMON,
    PAPER,
    CommonCorruption,
    Corruption,
    Downsample,
    Jpeg,
    Resize,
    SaltAndPepper,
    corruption_from_json,
    corruption_to_json,
    parse_corruption,
    parse_corruptions,
)
from featstore.errors import InvalidInputError
from featstore.images import decode


@pytest.fixture(scope="module")
def images(photos: Path) -> dict[str, Image.Image]:
    """Return photos of several sizes, upright and lying."""
    found = {path.name: decode(path) for path in sorted(photos.glob("*/*/*.jpg"))[:60:10]}
    return found | {
        f"turned {name}": image.rotate(90, expand=True) for name, image in found.items()
    }


def size_at_256(image: Image.Image) -> tuple[int, int]:
    if image.height < image.width:
        return 256 * image.width // image.height, 256
    return 256, 256 * image.height // image.width


def test_resize_takes_the_pixel_that_the_new_centre_lies_in(
    images: dict[str, Image.Image],
) -> None:
    for name, image in images.items():
        corrupted = np.asarray(Resize().apply(image, name))
        width, height = size_at_256(image)
        assert corrupted.shape == (height, width, 3)
        y, x = (
            (np.arange(new) + 0.5) * (old / new)
            for new, old in ((height, image.height), (width, image.width))
        )
        # On the border of two pixels, rounding decides.
        clear = np.ix_(*(abs(centre - centre.round()) > 1e-6 for centre in (y, x)))
        expected = np.asarray(image)[y.astype(int)][:, x.astype(int)]
        np.testing.assert_array_equal(corrupted[clear], expected[clear])
        default = image.resize((width, height), Image.Resampling.NEAREST)
        np.testing.assert_array_equal(corrupted, default)


@pytest.mark.parametrize("factor", [2, 4])
def test_downsampling_shrinks_the_resized_image_and_enlarges_it(
    images: dict[str, Image.Image], factor: int
) -> None:
    for name, image in images.items():
        width, height = size_at_256(image)
        expected = image.resize((width, height), Image.Resampling.NEAREST)
        for size in ((width // factor, height // factor), (width, height)):
            expected = expected.resize(size, Image.Resampling.NEAREST)
        corrupted = np.asarray(Downsample(factor).apply(image, name))
        np.testing.assert_array_equal(corrupted, expected)
        assert len(np.unique(corrupted.reshape(-1, 3), axis=0)) <= width * height // factor**2


def test_jpeg_is_what_pillow_saves_and_reads(
    images: dict[str, Image.Image], tmp_path: Path
) -> None:
    for name, image in images.items():
        image.save(tmp_path / "x.jpg", quality=10)
        with Image.open(tmp_path / "x.jpg") as saved:
            expected = np.asarray(saved.convert("RGB"))
        np.testing.assert_array_equal(Jpeg().apply(image, name), expected)
        again = Image.open(BytesIO(Jpeg().encode(image)))
        np.testing.assert_array_equal(np.asarray(again), expected)


def test_salt_and_pepper_hit_values_independently(images: dict[str, Image.Image]) -> None:
    hits = []
    for name, image in images.items():
        # No value of its own is black or white, so every hit shows.
        clean = np.clip(np.asarray(image), 1, 254)
        noisy = np.asarray(SaltAndPepper().apply(Image.fromarray(clean), name))
        hit = noisy != clean
        assert set(np.unique(noisy[hit])) == {0, 255}
        salt = (noisy[hit] == 255).mean()
        assert abs(salt - 0.5) < 5 * np.sqrt(0.25 / hit.sum())
        hits.append(hit.reshape(-1, 3))
    hit = np.concatenate(hits)
    for channel in hit.T:
        assert abs(channel.mean() - 0.01) < 5 * np.sqrt(0.01 * 0.99 / len(hit))
    both = (hit[:, 0] & hit[:, 1]).mean()
    assert abs(both - 1e-4) < 5 * np.sqrt(1e-4 / len(hit))
    assert (hit[:-1, 0] & hit[1:, 0]).mean() < 2e-4  # nor do neighbours go together


def test_more_noise_contains_less(images: dict[str, Image.Image]) -> None:
    name, image = next(iter(images.items()))
    clean = Image.fromarray(np.clip(np.asarray(image), 1, 254))
    little, much = (
        np.asarray(SaltAndPepper(p).apply(clean, name)) != np.asarray(clean) for p in (0.01, 0.1)
    )
    assert little.sum() < much.sum()
    assert (much | ~little).all()


def _digests(photos: Path) -> dict[str, str]:
    paths = sorted(photos.glob("*/*/*.jpg"))[:3]
    return {
        f"{path.name} {one.label}": hashlib.sha256(
            np.asarray(one.apply(decode(path), path.name)).tobytes()
        ).hexdigest()
        for path in paths
        for one in PAPER
    }


def test_an_image_is_corrupted_in_one_way_in_any_order_and_process(photos: Path) -> None:
    first = _digests(photos)
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path; from test_corruptions import _digests\n"
        f"print(_digests(Path({str(photos)!r})))"
    )
    other = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == str(first)
    path = sorted(photos.glob("*/*/*.jpg"))[0]
    one, two = (
        np.asarray(SaltAndPepper().apply(decode(path), identity)) for identity in ("a", "b")
    )
    assert (one != two).any()
    assert (one != np.asarray(SaltAndPepper(seed=1).apply(decode(path), "a"))).any()


def test_noise_stays_what_it_was() -> None:
    grey = Image.new("RGB", (64, 64), (128, 128, 128))
    noisy = np.asarray(SaltAndPepper().apply(grey, "train/a.jpg"))
    digest = hashlib.sha256(noisy.tobytes()).hexdigest()
    assert digest == "57488c5707970dbafd8c8f9b1572a3cfc29256dce3a983ba01c661147ee8cdc6"


@pytest.mark.parametrize("corruption", [*PAPER, *COMMON, SaltAndPepper(0.1, seed=3)], ids=str)
def test_labels_and_documents_are_read_back(corruption: Corruption) -> None:
    assert parse_corruption(corruption.label) == corruption
    assert corruption_from_json(corruption_to_json(corruption)) == corruption


def test_sets_are_written_out() -> None:
    assert parse_corruptions(["paper"]) == list(PAPER)
    assert len(parse_corruptions(["common"])) == 75
    assert parse_corruptions(["clean", "jpeg", "jpeg10"]) == [None, Jpeg(10)]
    third = parse_corruptions(["common-3"])
    assert len(third) == 15
    assert {one.severity for one in third if isinstance(one, CommonCorruption)} == {3}
    assert parse_corruption("downsample2-short128") == Downsample(2, 128)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jpg10", "Did you mean"),
        ("jpeg101", "1 to 100"),
        ("downsample1", "at least 2"),
        ("resize0", "at least 1 pixel"),
        ("salt-pepper2", "probability"),
        ("gaussian_nose-3", "gaussian_noise"),
        ("fog-6", "severities 1 to 5"),
    ],
)
def test_what_is_no_corruption_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_corruption(text)


def test_a_document_of_a_later_version_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="upgrade"):
        corruption_from_json({"name": "mirror"})
    with pytest.raises(InvalidInputError, match="upgrade"):
        corruption_from_json({"name": "jpeg", "quality": 10, "subsampling": 2})
