"""Columns: what tools write as ids and labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from featstore.errors import InvalidInputError
from featstore.imports.column_file import is_column_file, read_column
from featstore.imports.columns import as_ids, as_splits, as_target, joined_targets
from featstore.samples import Target


def test_ids_are_text_or_whole_numbers() -> None:
    assert as_ids([b"\xc3\xbc.jpg", "b", 3, np.int64(4)], "ids").tolist() == [
        "ü.jpg",
        "b",
        "3",
        "4",
    ]
    with pytest.raises(InvalidInputError, match=r"2 of 3 ids are missing.* row 1"):
        as_ids(["a", None, 0.5], "ids")


def test_a_matrix_of_one_column_is_a_column() -> None:
    assert as_ids(np.array([["a"], ["b"]]), "ids").tolist() == ["a", "b"]
    assert as_target(np.array([[3], [1], [3]]), "labels").classes == ("1", "3")


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(InvalidInputError, match="1 of 2 ids are missing, or neither text in UTF-8"):
        as_ids([b"a", b"\xff"], "ids")


def test_splits_get_their_usual_names() -> None:
    assert as_splits(["Training", None, "valid", "fold 2"]).tolist() == [
        "train",
        "",
        "val",
        "fold 2",
    ]


@pytest.mark.parametrize(
    ("column", "classes", "codes"),
    [
        (["b", "a", None, ""], ("a", "b"), [1, 0, -1, -1]),
        (np.array([10, 2, -1, 2]), ("2", "10"), [1, 0, -1, 0]),
        (np.array([1.0, np.nan, 0.0]), ("0", "1"), [1, -1, 0]),
        (np.array([True, False]), ("0", "1"), [1, 0]),
    ],
)
def test_single_labels(column: object, classes: tuple[str, ...], codes: list[int]) -> None:
    target = as_target(column, "labels")
    assert (target.kind, target.classes, target.codes.tolist()) == ("single", classes, codes)


def test_several_labels() -> None:
    lists = as_target([["a", "b"], [], None, ["b"]], "labels")
    matrix = as_target(np.array([[1, 0], [0, 1]], np.int64), "labels")
    assert lists.codes.tolist() == [[True, True], [False, False], [False, False], [False, True]]
    assert (matrix.kind, matrix.classes) == ("multi", ("0", "1"))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([0.5, 1.5], "0.5 is no label"),
        (np.array([[0, 2], [1, 0]]), "holds 0 and 1 only"),
        (np.zeros((2, 2, 2)), "no known kind"),
    ],
)
def test_what_is_no_label(column: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        as_target(column, "labels")


def test_joined_targets_keep_every_label() -> None:
    parts = [as_target(np.array([10, 2]), "a"), as_target(np.array([3, -1]), "b")]
    joined = joined_targets(parts)
    assert joined.classes == ("2", "3", "10")
    assert joined.codes.tolist() == [2, 0, 1, -1]
    multi = [Target.from_label_sets([["a"]]), Target.from_label_sets([["b", "c"]])]
    assert joined_targets(multi).codes.tolist() == [[True, False, False], [False, True, True]]
    with pytest.raises(InvalidInputError, match="one class per row in one file and several"):
        joined_targets([parts[0], multi[0]])


def test_column_files(tmp_path: Path) -> None:
    labels = ["a", "b", "NA"]
    frame = pd.DataFrame({"id": ["x", "y", "z"], "label": labels})
    (tmp_path / "l.txt").write_text("a\nb\nNA\n")
    (tmp_path / "l.json").write_text(json.dumps(labels))
    frame.to_csv(tmp_path / "l.csv", index=False)
    frame.to_csv(tmp_path / "l.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "l.parquet")
    np.save(tmp_path / "l.npy", np.array(labels))
    for name in ("l.txt", "l.json", "l.csv#label", "l.tsv#label", "l.parquet#label", "l.npy"):
        where = str(tmp_path / name)
        assert is_column_file(where)
        assert list(read_column(where)) == labels, name
    torch.save(torch.tensor([2, 0]), tmp_path / "l.pt")
    assert as_target(read_column(str(tmp_path / "l.pt")), "l").classes == ("0", "2")


def test_column_files_that_cannot_be_used(tmp_path: Path) -> None:
    pd.DataFrame({"id": ["x"], "label": ["a"]}).to_csv(tmp_path / "l.csv", index=False)
    (tmp_path / "l.json").write_text('{"a": 1}')
    (tmp_path / "cut.json").write_text('["a"')
    (tmp_path / "l.docx").write_text("a")
    for name, message in {
        "l.csv": "has 2 columns; name one",
        "l.csv#lable": "Did you mean label",
        "l.json": "a list is needed",
        "cut.json": "cannot be read as .json file",
        "l.docx": "known are .txt, .csv",
    }.items():
        with pytest.raises(InvalidInputError, match=message):
            read_column(str(tmp_path / name))
