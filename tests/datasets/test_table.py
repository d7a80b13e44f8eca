"""Image tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from featstore.datasets import ImageTable
from featstore.errors import InvalidInputError

FRAME = pd.DataFrame(
    {
        "path": ["a.png", "b.png", "c.png", "d.png"],
        "split": ["train", "train", "test", "test"],
        "species": ["tit", "owl", "tit", "owl"],
        "tags": ["wood; night", "", "wood", "water"],
        "length": [0.5, 1.25, 3.5, 2.0],
        "year": [2001, 2002, 2001, 2003],
    }
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FRAME["path"]:
        (tmp_path / name).write_bytes(b"x" * 10)
    return tmp_path


def read(folder: Path, frame: pd.DataFrame = FRAME, name: str = "t.csv", **options: Any) -> Any:
    path = folder / name
    if name.endswith("parquet"):
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if name.endswith("tsv") else ",")
    return ImageTable.read(path, **options).samples


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet"])
def test_formats_agree(folder: Path, name: str) -> None:
    samples = read(folder, name=name, multilabel=["tags"])
    assert samples.ids.tolist() == FRAME["path"].tolist()
    assert samples.splits.tolist() == FRAME["split"].tolist()
    # A measurement is no label; whole numbers may be.
    assert list(samples.targets) == ["species", "tags", "year"]
    assert samples.targets["species"].codes.tolist() == [1, 0, 1, 0]
    assert samples.targets["year"].classes == ("2001", "2002", "2003")
    tags = samples.targets["tags"]
    assert tags.classes == ("night", "water", "wood")
    assert tags.codes.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_chosen_targets_and_other_columns(folder: Path) -> None:
    frame = FRAME.rename(columns={"path": "file", "split": "fold"})
    samples = read(folder, frame, path_column="file", split_column="fold", targets=["species"])
    assert list(samples.targets) == ["species"]


def test_na_and_none_are_names(folder: Path) -> None:
    frame = FRAME.assign(species=["NA", "None", "NA", "nan"], tags=["NA", "null; NA", "", "NA"])
    samples = read(folder, frame, multilabel=["tags"])
    assert samples.targets["species"].classes == ("NA", "None", "nan")
    assert samples.targets["tags"].codes[:, 0].tolist() == [True, True, False, True]


def test_lists_in_parquet(folder: Path) -> None:
    frame = FRAME.assign(tags=[["x", "y"], [], ["x"], ["z"]])
    samples = read(folder, frame, name="t.parquet", multilabel=["tags"])
    assert samples.targets["tags"].classes == ("x", "y", "z")
    assert samples.targets["tags"].codes.sum(axis=1).tolist() == [2, 0, 1, 1]
    assert "tags" not in read(folder, frame, name="t.parquet").targets


def test_an_index_column_and_names_are_no_targets(folder: Path) -> None:
    frame = FRAME.assign(photographer=["Ann", "Bob", "Cy", "Di"])
    path = folder / "t.csv"
    frame.to_csv(path)
    assert list(ImageTable.read(path, multilabel=["tags"]).samples.targets) == [
        "species",
        "tags",
        "year",
    ]


def test_splits_have_their_usual_names(folder: Path) -> None:
    samples = read(folder, FRAME.assign(split=["Train", "training", "valid", "testing"]))
    assert samples.splits.tolist() == ["train", "train", "val", "test"]


def test_missing_labels(folder: Path) -> None:
    frame = FRAME.assign(species=["tit", None, "", "owl"])
    with pytest.raises(InvalidInputError, match=r"2 of 4 rows have no label .* \(lines 3, 4\)"):
        read(folder, frame)
    samples = read(folder, frame, missing_labels="keep", targets=["species"])
    assert samples.targets["species"].codes.tolist() == [1, -1, -1, 0]
    assert samples.targets["species"].labelled.tolist() == [True, False, False, True]


def test_without_a_split_column(folder: Path) -> None:
    samples = read(folder, FRAME.drop(columns="split"), targets=["species"])
    assert sorted(samples.split_names) == ["test", "train"]


@pytest.mark.parametrize(
    ("frame", "options", "match"),
    [
        (FRAME.drop(columns="path"), {}, "no column 'path'"),
        (FRAME, {"targets": ["specie"]}, "no label column 'specie'. Did you mean species"),
        (FRAME, {"multilabel": ["tag"]}, "no label column 'tag'. Did you mean tags"),
        (FRAME[["path", "split", "length"]], {}, "no label column beside"),
        (FRAME.assign(species="tit"), {}, "one class only"),
        (FRAME.assign(path=["a.png", "x.png", "y.png", "d.png"]), {}, "2 of 4 images .* x.png"),
        (FRAME.assign(path="a.png"), {"targets": ["species"]}, "more than once"),
        (FRAME[:0], {}, "has no rows"),
    ],
)
def test_bad_tables(folder: Path, frame: Any, options: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidInputError, match=match):
        read(folder, frame, **options)


def test_unreadable_tables(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="does not exist"):
        ImageTable.read(tmp_path / "none.csv")
    (tmp_path / "t.parquet").write_text("no parquet")
    with pytest.raises(InvalidInputError, match="cannot be read as a table"):
        ImageTable.read(tmp_path / "t.parquet")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(InvalidInputError, match="cannot be read as a table"):
        ImageTable.read(tmp_path / "empty.csv")
