"""GeoLifeCLEF: the arrays of 2020, the images of 2021, and tables of land cover."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import featstore as fs
from featstore.datasets import geolifeclef, land_cover_vectors, open_dataset
from featstore.errors import InvalidInputError

#: Observation -> NLCD codes of its patch (11: open water, 41: deciduous forest, 71: grassland).
COVERS = {20000173: (11,), 20010005: (11, 41), 20010006: (41, 71, 0)}


def cover(codes: tuple[int, ...]) -> NDArray[np.uint8]:
    """Stripes of equal width; what is left over is of the last code."""
    stripes = np.minimum(np.arange(256) // (256 // len(codes)), len(codes) - 1)
    return np.broadcast_to(np.asarray(codes, np.uint8)[stripes], (256, 256)).copy()


@pytest.fixture
def of_2020(photos: Path, tmp_path: Path) -> Path:
    root = tmp_path / "glc20"
    photo = next(iter(sorted(photos.rglob("*.jpg"))))
    rgb = np.asarray(Image.open(photo).convert("RGB").resize((256, 256)))
    (root / "occurrences").mkdir(parents=True)
    rows = ["id;lat;lon;species_id"]
    for number, codes in COVERS.items():
        name = str(number)
        part = f"patches_us_{int(name[-2:]) // 5 + 1:02d}"
        folder = root / "patches_us" / part / name[-2:] / name[-4:-2]
        folder.mkdir(parents=True)
        patch = np.dstack([rgb, np.full((256, 256), 9, np.uint8), cover(codes)])
        np.save(folder / f"{name}.npy", patch)
        np.save(folder / f"{name}_alti.npy", np.zeros((256, 256), np.int16))
        rows.append(f"{name};40.1;-100.2;{number % 7}")
    (root / "occurrences" / "occurrences_us_train.csv").write_text("\n".join(rows))
    return root


@pytest.fixture
def of_2021(put: Callable[..., Path], tmp_path: Path) -> Path:
    root = tmp_path / "glc21"
    rows = ["observation_id;latitude;longitude;species_id;subset"]
    for number, codes in COVERS.items():
        name = str(number)
        stem = f"patches-us/{name[-2:]}/{name[-4:-2]}/{name}"
        put(f"{stem}_rgb.jpg", root=root)
        Image.fromarray(cover(codes)).save(root / f"{stem}_landcover.tif", compression="tiff_lzw")
        rows.append(f"{name};40.1;-100.2;{number % 7};{'val' if number == 20010006 else 'train'}")
    for folder in ("observations", "metadata"):
        (root / folder).mkdir()
    (root / "observations" / "observations_us_train.csv").write_text("\n".join(rows))
    names = ["landcover_code;landcover_label", "0;Missing data (US)", "11;Open Water"]
    names += ["41;Deciduous Forest", "71;Grassland"]
    (root / "metadata" / "landcover_original_labels.csv").write_text("\n".join(names))
    return root


def test_arrays_of_2020(of_2020: Path) -> None:
    data = open_dataset(of_2020)
    samples = data.samples
    assert data.source["kind"] == "geolifeclef"
    assert samples.ids.tolist() == [
        "patches_us/patches_us_15/73/01/20000173.npy",
        "patches_us/patches_us_02/05/00/20010005.npy",
        "patches_us/patches_us_02/06/00/20010006.npy",
    ]
    target = samples.targets["land_cover"]
    assert target.classes == ("11", "41", "71")
    assert target.codes.astype(int).tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    # Without a column of subsets, everything trains.
    assert samples.split_names == ("train",)
    patch = np.load(of_2020 / str(samples.ids[1]))
    np.testing.assert_array_equal(data.image(1), patch[..., :3])


def test_images_of_2021_with_names(of_2021: Path) -> None:
    data = open_dataset(f"geolifeclef:{of_2021}?species=yes")
    samples = data.samples
    assert samples.ids[1] == "patches-us/05/00/20010005_rgb.jpg"
    assert samples.splits.tolist() == ["train", "train", "test"]
    target = samples.targets["land_cover"]
    assert target.classes == ("Open Water", "Deciduous Forest", "Grassland")
    assert target.codes.sum(axis=1).tolist() == [1, 2, 2]
    assert samples.targets["species"].kind == "single"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_vectors_counted_once_give_the_same(of_2021: Path, tmp_path: Path, suffix: str) -> None:
    vectors = land_cover_vectors(of_2021)
    shares = vectors.set_index("observation_id")
    assert shares.loc["20010005", "41"] == pytest.approx(0.5)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    file = tmp_path / f"vectors.{suffix}"
    # Another order: observations are matched by their numbers.
    mixed = vectors.iloc[::-1]
    mixed.to_parquet(file) if suffix == "parquet" else mixed.to_csv(file, index=False)
    for path in of_2021.rglob("*_landcover.tif"):
        path.unlink()
    again = geolifeclef(of_2021, vectors=file).samples
    codes = again.targets["land_cover"].codes
    assert codes.astype(int).tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    with pytest.raises(InvalidInputError, match="no land cover: cannot read image"):
        geolifeclef(of_2021)
    vectors.iloc[:2].to_csv(tmp_path / "two.csv", index=False)
    with pytest.raises(InvalidInputError, match=r"lacks 1 of 3 observations, e\.g\. 20010006"):
        geolifeclef(of_2021, vectors=tmp_path / "two.csv")
    vectors.assign(**{"11": 2.0}).to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(InvalidInputError, match="'11' in observation 20000173 is no number from 0"):
        geolifeclef(of_2021, vectors=tmp_path / "bad.csv")


def test_features_of_arrays_are_those_of_their_rgb(of_2020: Path, tmp_path: Path) -> None:
    result = fs.extract(of_2020, "random/resnet18?size=32", tmp_path / "s.zarr", dtype="float32")
    X = result.store.view("random_resnet18").array()
    # One photo, three land covers: what lies behind the third band is not seen.
    np.testing.assert_allclose(X[1:], X[:1].repeat(2, axis=0), rtol=1e-5, atol=1e-6)


def test_bad_layouts(of_2020: Path, of_2021: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="the regions us and fr, not 'de'"):
        geolifeclef(of_2020, region="de")
    with pytest.raises(InvalidInputError, match=r"neither observations/observations_fr_train\.csv"):
        geolifeclef(of_2020, region="us,fr")
    with pytest.raises(InvalidInputError, match="species='maybe'"):
        geolifeclef(of_2020, species="maybe")
    next(of_2021.rglob("*_rgb.jpg")).unlink()
    with pytest.raises(InvalidInputError, match="1 of 3 images of the tables of observations"):
        geolifeclef(of_2021)
    table = of_2021 / "observations" / "observations_us_train.csv"
    table.write_text(table.read_text().replace(";", ","))
    with pytest.raises(InvalidInputError, match="separated by semicolons"):
        geolifeclef(of_2021)
