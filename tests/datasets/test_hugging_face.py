"""Hugging Face's datasets: what the library saves, and its own decoder as the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featstore as fs
from featstore.datasets import HuggingFaceImages, open_dataset
from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.images import decode

datasets = pytest.importorskip("datasets")


def make(photos: Path, n: int, *, start: int = 0, **more: Any) -> Any:
    files = [str(path) for path in sorted(photos.rglob("*.jpg"))[start : start + n]]
    names = ["hat", "shoe", "coat"]
    columns = {
        "image": files,
        "label": [i % 3 for i in range(n)],
        "tags": [[0, 1][: i % 3] for i in range(n)],
        "site": [f"site {i % 2}" for i in range(n)],
        "uid": [f"u{start + i}" for i in range(n)],
        "score": [i / 7 for i in range(n)],
        **more,
    }
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=names),
            "tags": datasets.Sequence(datasets.ClassLabel(names=["wet", "dry"])),
            "site": datasets.Value("string"),
            "uid": datasets.Value("string"),
            "score": datasets.Value("float32"),
        }
    )
    return datasets.Dataset.from_dict(columns, features=features)


def test_a_saved_dictionary_of_splits(photos: Path, tmp_path: Path) -> None:
    splits = {"train": make(photos, 7), "validation": make(photos, 4, start=7)}
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "hf"))
    data = open_dataset(tmp_path / "hf")
    samples = data.samples
    assert data.source["kind"] == "hf"
    assert samples.ids.tolist() == [f"train/{i}" for i in range(7)] + [f"val/{i}" for i in range(4)]
    assert samples.split_names == ("train", "val")
    assert list(samples.targets) == ["label", "tags", "site"]
    assert samples.targets["label"].classes == ("hat", "shoe", "coat")
    assert samples.targets["tags"].codes[:3].tolist() == [[0, 0], [1, 0], [1, 1]]
    saved = datasets.load_from_disk(str(tmp_path / "hf"))["validation"]
    for row in range(4):
        theirs = np.asarray(saved[row]["image"].convert("RGB"))
        np.testing.assert_array_equal(np.asarray(decode(data.image(7 + row))), theirs)
    # The encoded bytes are in the saved files, and their sizes mark them.
    assert samples.marks is not None
    assert samples.marks[8] == len(data.image(8))  # type: ignore[arg-type]


def test_one_data_set_with_ids_of_its_own(photos: Path, tmp_path: Path) -> None:
    make(photos, 12).save_to_disk(str(tmp_path / "hf"))
    data = open_dataset(f"hf:{tmp_path / 'hf'}?id=uid")
    assert data.samples.ids[3] == "u3"
    assert set(data.samples.split_names) == {"train", "test"}
    result = fs.extract(data, "random/resnet18?size=32", tmp_path / "s.zarr")
    assert result.images == 12


def test_in_memory_after_a_selection(photos: Path) -> None:
    whole = make(photos, 9)
    data = HuggingFaceImages(whole.select([8, 2, 5]), id="uid", hold_out=None)
    assert data.samples.ids.tolist() == ["u8", "u2", "u5"]
    theirs = np.asarray(whole[2]["image"].convert("RGB"))
    np.testing.assert_array_equal(np.asarray(decode(data.image(1))), theirs)


def test_bad_data_sets(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="save_to_disk"):
        open_dataset(f"hf:{tmp_path}")
    whole = make(photos, 3)
    with pytest.raises(InvalidInputError, match=r"no image column 'picture'. There are: image"):
        HuggingFaceImages(whole, image="picture")
    with pytest.raises(InvalidInputError, match="there are: none among label"):
        HuggingFaceImages(whole.remove_columns("image"))
    with pytest.raises(InvalidInputError, match="no column 'uuid'"):
        HuggingFaceImages(whole, id="uuid")
    with pytest.raises(InvalidInputError, match="split 'test' has other columns"):
        HuggingFaceImages({"train": whole, "test": whole.remove_columns("site")})
    empty = make(photos, 3, image=[None, None, None])
    with pytest.raises(UnreadableImageError, match="'0': the cell is empty"):
        HuggingFaceImages(empty, hold_out=None).image(0)
