"""torch files, as torch.save writes them for CLIP_benchmark, DINO and others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from featstore.errors import InvalidInputError


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("zipped", [True, False])
def test_dictionary(tmp_path: Path, X, ids, y, read, values, dtype, zipped: bool) -> None:
    content = {"features": torch.from_numpy(X).to(dtype), "labels": torch.from_numpy(y), "ids": ids}
    torch.save({**content, "epoch": 3}, tmp_path / "f.pt", _use_new_zipfile_serialization=zipped)
    found = read(tmp_path / "f.pt")
    np.testing.assert_array_equal(values(found), content["features"].double().numpy())
    assert found.ids.tolist() == ids
    np.testing.assert_array_equal(found.targets["labels"].codes, y)


def test_clip_benchmark(tmp_path: Path, X, y, read, values) -> None:
    for split, rows in (("train", slice(0, 20)), ("val", slice(20, 30))):
        torch.save(torch.from_numpy(X[rows]), tmp_path / f"features_{split}.pt")
        torch.save(torch.from_numpy(y[rows]), tmp_path / f"targets_{split}.pt")
    folder = read(tmp_path)
    np.testing.assert_array_equal(values(folder), X)
    assert folder.ids is None
    assert folder.splits.tolist() == ["train"] * 20 + ["val"] * 10
    np.testing.assert_array_equal(folder.targets["label"].codes, y)
    one = read(tmp_path / "features_val.pt")
    np.testing.assert_array_equal(one.targets["label"].codes, y[20:])
    assert one.notes == ("labels of features_val.pt are taken from targets_val.pt beside it",)


def test_dino(tmp_path: Path, X, y, read, values) -> None:
    for split, rows in (("test", slice(20, 30)), ("train", slice(0, 20))):
        torch.save(torch.from_numpy(X[rows]), tmp_path / f"{split}feat.pth")
        torch.save(torch.from_numpy(y[rows]), tmp_path / f"{split}labels.pth")
    folder = read(tmp_path)
    np.testing.assert_array_equal(values(folder), np.concatenate([X[20:], X[:20]]))
    assert folder.splits.tolist() == ["test"] * 10 + ["train"] * 20
    np.testing.assert_array_equal(folder.targets["label"].codes, np.concatenate([y[20:], y[:20]]))


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_numpy(tmp_path: Path, X, ids, y, read, values, order: str) -> None:
    content = {"features": np.asarray(X, order=order), "ids": np.array(ids), "y": y.astype(">i2")}
    torch.save({**content, "epoch": np.int64(3), "of": [y]}, tmp_path / "f.pt")
    found = read(tmp_path / "f.pt")
    np.testing.assert_array_equal(values(found), X)
    assert found.ids.tolist() == ids
    np.testing.assert_array_equal(found.targets["y"].codes, y)


def test_a_vector_for_each_id(tmp_path: Path, X, ids, read, values) -> None:
    for vectors in (X, torch.from_numpy(X)):
        torch.save(dict(zip(ids, vectors, strict=True)), tmp_path / "f.pt")
        found = read(tmp_path / "f.pt")
        np.testing.assert_array_equal(values(found), X)
        assert found.ids.tolist() == ids


@pytest.mark.parametrize("names", [["mean", "std"], ["norm.weight", "norm.bias"]])
def test_statistics_are_not_taken_for_images(tmp_path: Path, X, read, names: list[str]) -> None:
    torch.save(dict(zip(names, torch.from_numpy(X), strict=False)), tmp_path / "f.pt")
    with pytest.raises(InvalidInputError, match=rf"{names[0]}, {names[1]}: statistics or weights"):
        read(tmp_path / "f.pt")


def test_one_image_may_be_called_like_a_statistic(tmp_path: Path, X, read) -> None:
    torch.save(dict(zip(["mean", "a.jpg"], torch.from_numpy(X), strict=False)), tmp_path / "f.pt")
    assert read(tmp_path / "f.pt").ids.tolist() == ["mean", "a.jpg"]


def test_tensors_of_all_kinds(tmp_path: Path, X, read, values) -> None:
    tensor = torch.from_numpy(X)
    torch.save(torch.nn.Parameter(tensor.T.contiguous().T), tmp_path / "f.pt")
    np.testing.assert_array_equal(values(read(tmp_path / "f.pt")), X)
    torch.save(tensor.to_sparse(), tmp_path / "f.pt")
    with pytest.raises(InvalidInputError, match=r"is sparse.*to_dense"):
        read(tmp_path / "f.pt")


class Runs:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return exec, ("raise SystemExit",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (Runs(), r"run code.*it wants exec.*save tensors"),
        (np.array([Runs()], dtype=object), r"run code.*it wants exec"),
        (np.array([1, None], dtype=object), r"f\.pt holds an array of Python objects"),
        (np.zeros(3, [("a", "f4"), ("b", "O")]), "an array of Python objects"),
    ],
)
def test_pickles_that_run_code_are_refused(tmp_path: Path, read, content, reason: str) -> None:
    torch.save({"features": content}, tmp_path / "f.pt")
    with pytest.raises(InvalidInputError, match=reason):
        read(tmp_path / "f.pt")


def test_what_cannot_be_read(tmp_path: Path, X, read) -> None:
    path = tmp_path / "f.pt"
    torch.save([1, 2], path)
    with pytest.raises(InvalidInputError, match="holds a list"):
        read(path)
    torch.save(torch.from_numpy(X), path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InvalidInputError, match="cannot be read as a torch file"):
        read(path)
    with pytest.raises(
        InvalidInputError, match=r"no file in .* has a name like features_train\.pt"
    ):
        read(tmp_path)
