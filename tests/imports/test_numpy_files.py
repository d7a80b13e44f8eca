"""NumPy files, as numpy.save, savez and savez_compressed write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featstore.errors import InvalidInputError


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_npy(tmp_path: Path, X, ids, read, values, dtype: str) -> None:
    np.save(tmp_path / "clip.npy", X.astype(dtype))
    found = read(tmp_path / "clip.npy")
    np.testing.assert_array_equal(values(found), X.astype(dtype))
    assert found.ids is None
    assert found.values.precision == np.dtype(dtype).name
    (tmp_path / "clip.ids.txt").write_text("\n".join(ids), encoding="utf-8")
    (tmp_path / "clip.json").write_text('{"columns": ["of another tool"]}')
    assert read(tmp_path / "clip.npy").ids.tolist() == ids


def test_folder_of_parts_in_the_order_of_their_numbers(tmp_path: Path, X, read, values) -> None:
    for number, start in ((2, 0), (10, 12)):
        np.save(tmp_path / f"part{number}.npy", X[start : start + (12 if number == 2 else 18)])
    np.testing.assert_array_equal(values(read(tmp_path)), X)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npz(tmp_path: Path, X, ids, y, read, values, save, order: str) -> None:
    split = np.array(["train"] * 20 + ["test"] * 10)
    save(
        tmp_path / "f.npz", features=np.asarray(X, order=order), ids=np.array(ids), y=y, split=split
    )
    found = read(tmp_path / "f.npz")
    np.testing.assert_array_equal(values(found), X)
    assert found.ids.tolist() == ids
    assert found.splits.tolist() == split.tolist()
    np.testing.assert_array_equal(found.targets["y"].codes, y)


def test_key_chooses_the_array(tmp_path: Path, X, read, values) -> None:
    np.savez(tmp_path / "f.npz", a=X, b=X[:, :3])
    with pytest.raises(InvalidInputError, match=r"several matrices.*a \(30, 8\) float32, b"):
        read(tmp_path / "f.npz")
    assert values(read(tmp_path / "f.npz", key="b")).shape == (30, 3)
    with pytest.raises(InvalidInputError, match=r"has no array 'c'\. There are: a, b"):
        read(tmp_path / "f.npz", key="c")


def test_unusable_columns_are_named(tmp_path: Path, X, read) -> None:
    np.savez(tmp_path / "f.npz", features=X, species=np.full(30, "ant"))
    with pytest.raises(InvalidInputError, match="'specie' is neither a file nor a column"):
        read(tmp_path / "f.npz", labels=["specie"])
    np.savez(tmp_path / "o.npz", features=X, ids=np.array([object()] * 30))
    with pytest.raises(InvalidInputError, match=r"'ids' in .*o.npz holds Python objects"):
        read(tmp_path / "o.npz")


@pytest.mark.parametrize("n", [29, 31])
def test_ids_for_another_number_of_rows(tmp_path: Path, X, ids, y, read, n: int) -> None:
    np.savez(tmp_path / "f.npz", features=X, ids=np.array([*ids, "z"])[:n], y=y[:7])
    with pytest.raises(InvalidInputError, match=rf"'ids' has {n} entries for 30 rows"):
        read(tmp_path / "f.npz")
    found = read(tmp_path / "f.npz", with_ids=False)
    assert (found.ids, found.targets) == (None, {})
    assert found.notes == ("'y' in f.npz has 7 entries for 30 rows: there are no labels",)
    with pytest.raises(InvalidInputError, match=r"'y' in f.npz has 7 entries, which is not one"):
        read(tmp_path / "f.npz", with_ids=False, labels=["y"])


def test_parts_without_rows_are_passed_over(tmp_path: Path, X, read, values) -> None:
    for number, rows in enumerate((slice(0, 7), slice(7, 7), slice(7, 30))):
        np.save(tmp_path / f"part{number}.npy", X[rows])
    found = read(tmp_path)
    np.testing.assert_array_equal(values(found), X)
    assert "1 of 3 files" in found.notes[0]
    assert found.notes[0].endswith("have no rows, e.g. part1.npy")
    for number in (0, 2):
        (tmp_path / f"part{number}.npy").unlink()
    with pytest.raises(InvalidInputError, match="none of the 1 files"):
        read(tmp_path)


def test_ids_that_windows_wrote(tmp_path: Path, X, ids, read) -> None:
    np.save(tmp_path / "f.npy", X)
    (tmp_path / "f.ids.txt").write_bytes("\r\n".join(ids).encode("utf-8-sig"))
    assert read(tmp_path / "f.npy").ids.tolist() == ids


def test_many_arrays_are_not_all_listed(tmp_path: Path, read) -> None:
    np.savez(tmp_path / "f.npz", **{f"a{i}": np.zeros(3) for i in range(12)})
    with pytest.raises(InvalidInputError, match=r"a9 \(3,\) float64 and 2 more$"):
        read(tmp_path / "f.npz")


@pytest.mark.parametrize("name", ["f.npy", "f.npz"])
def test_truncated(tmp_path: Path, X, read, values, name: str) -> None:
    path = tmp_path / name
    np.save(path, X) if name == "f.npy" else np.savez(path, features=X)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InvalidInputError, match=r"f\.np. cannot be read as a NumPy"):
        read(path)


def test_damaged_inside(tmp_path: Path, X, read, values) -> None:
    path = tmp_path / "f.npz"
    np.savez(path, features=X)
    content = bytearray(path.read_bytes())
    content[400] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match="Bad CRC-32"):
        values(read(path))


def test_pickled_arrays_are_refused(tmp_path: Path, read) -> None:
    np.save(tmp_path / "o.npy", np.array([[object()]]), allow_pickle=True)
    with pytest.raises(InvalidInputError, match="holds Python objects: a pickle"):
        read(tmp_path / "o.npy")
