"""Folders in the layout of clip-retrieval, thingsvision and eva."""

from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import torch

from featstore.errors import InvalidInputError


def clip_retrieval(root: Path, X: np.ndarray, ids: list[str], *, parts: int = 11) -> None:
    """Write what clip_retrieval's NumpyWriter writes with text and metadata switched on."""
    for name in ("img_emb", "text_emb", "metadata"):
        (root / name).mkdir(parents=True)
    for number, rows in enumerate(np.array_split(np.arange(len(X)), parts)):
        name = str(number).zfill(2)
        np.save(root / "img_emb" / f"img_emb_{name}.npy", X[rows].astype(np.float16))
        np.save(root / "text_emb" / f"text_emb_{name}.npy", -X[rows].astype(np.float16))
        frame = pd.DataFrame({"image_path": [ids[i] for i in rows], "caption": "a photo"})
        frame.to_parquet(root / "metadata" / f"metadata_{name}.parquet")


def test_clip_retrieval(tmp_path: Path, X, ids, read, values) -> None:
    clip_retrieval(tmp_path, X, ids)
    found = read(tmp_path)
    np.testing.assert_array_equal(values(found), X.astype(np.float16))
    assert found.ids.tolist() == ids
    assert found.layout == "clip-retrieval folder"
    for text in (read(tmp_path, key="text_emb"), read(tmp_path / "text_emb")):
        np.testing.assert_array_equal(values(text), -X.astype(np.float16))
        assert text.ids.tolist() == ids


def test_clip_retrieval_that_was_interrupted(tmp_path: Path, X, ids, read) -> None:
    clip_retrieval(tmp_path, X, ids)
    (tmp_path / "metadata" / "metadata_03.parquet").unlink()
    with pytest.raises(InvalidInputError, match=r"1 of 11 files.*no metadata, e.g. img_emb_03.npy"):
        read(tmp_path)
    with pytest.raises(InvalidInputError, match="--key takes img_emb or text_emb"):
        read(tmp_path, key="audio_emb")


def thingsvision(root: Path, X: np.ndarray, kind: str) -> None:
    """Write what thingsvision's save_features and extract_features(output_dir=…) write."""
    if kind == "npy":
        np.save(root / "features.npy", X)
    elif kind == "pt":
        torch.save(torch.from_numpy(X), root / "features.pt")
    elif kind == "txt":
        np.savetxt(root / "features.txt", X)
    elif kind == "hdf5":
        with h5py.File(root / "features.hdf5", "w") as file:
            file.create_dataset("features", data=X)
    elif kind == "hdf5 parts":
        with h5py.File(root / "features.hdf5", "w") as file:
            for i, rows in enumerate(np.array_split(np.arange(len(X)), 11), start=1):
                file.create_dataset(f"features_{i:02d}", data=X[rows])
    elif kind == "mat":
        scipy.io.savemat(root / "features.mat", {"features": X})
    elif kind == "mat by name":
        rows = {Path(name).stem: x for name, x in zip(NAMES, X, strict=True)}
        scipy.io.savemat(root / "features.mat", rows)
    else:
        (root / "visual").mkdir()
        for start in range(0, len(X), 7):
            stop = min(start + 7, len(X))
            np.save(root / "visual" / f"features_{start}-{stop}.npy", X[start:stop])


NAMES = [f"dog_{i}.jpg" for i in range(30)]
KINDS = ["npy", "pt", "txt", "hdf5", "hdf5 parts", "mat", "mat by name", "batches of a module"]


@pytest.mark.parametrize("kind", KINDS)
def test_thingsvision(tmp_path: Path, X, read, values, kind: str) -> None:
    (tmp_path / "file_names.txt").write_text("".join(f"{name}\n" for name in NAMES))
    thingsvision(tmp_path, X, kind)
    found = read(tmp_path)
    np.testing.assert_array_equal(values(found).astype(np.float32), X)
    assert found.ids.tolist() == NAMES
    assert found.layout == "thingsvision folder"


def test_thingsvision_with_several_modules(tmp_path: Path, X, read, values) -> None:
    (tmp_path / "file_names.txt").write_text("".join(f"{name}\n" for name in NAMES))
    thingsvision(tmp_path, X, "batches of a module")
    (tmp_path / "text").mkdir()
    np.save(tmp_path / "text" / "features_0-30.npy", -X)
    with pytest.raises(InvalidInputError, match="choose one with --key: text, visual"):
        read(tmp_path)
    np.testing.assert_array_equal(values(read(tmp_path, key="text")), -X)
    np.testing.assert_array_equal(values(read(tmp_path / "visual")), X)


def test_thingsvision_whose_names_do_not_fit(tmp_path: Path, X, read) -> None:
    (tmp_path / "file_names.txt").write_text("".join(f"{name}\n" for name in NAMES[:-1]))
    np.save(tmp_path / "features.npy", X)
    with pytest.raises(InvalidInputError, match="29 ids for 30 rows"):
        read(tmp_path)


def eva(root: Path, X: np.ndarray, *, lists: bool) -> None:
    """Write what eva's ClassificationEmbeddingsWriter writes; older versions wrote no lists."""
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["origin", "embeddings", "target", "split"])
        for i, x in enumerate(torch.from_numpy(X)):
            (root / f"{i % 3}").mkdir(exist_ok=True)
            name = f"{i % 3}/{i}.pt"
            torch.save([x.clone()] if lists else x.clone(), root / name)
            writer.writerow([f"{i % 3}/{i}.png", name, i % 3, "train" if i < 20 else "val"])


@pytest.mark.parametrize("lists", [True, False])
def test_eva(tmp_path: Path, X, y, read, values, lists: bool) -> None:
    eva(tmp_path, X, lists=lists)
    found = read(tmp_path)
    np.testing.assert_array_equal(values(found), X)
    assert found.ids[:2].tolist() == ["0/0.png", "1/1.png"]
    assert found.splits[[19, 20]].tolist() == ["train", "val"]
    np.testing.assert_array_equal(found.targets["target"].codes, y)


def test_eva_with_damaged_files(tmp_path: Path, X, read, values) -> None:
    eva(tmp_path, X, lists=True)
    (tmp_path / "2" / "5.pt").write_bytes(b"")
    with pytest.raises(InvalidInputError, match=r"5\.pt cannot be read as a torch file"):
        values(read(tmp_path))
    torch.save(torch.zeros(5), tmp_path / "2" / "5.pt")
    with pytest.raises(InvalidInputError, match=r"5\.pt holds a vector of length 5"):
        values(read(tmp_path))
    torch.save([torch.zeros(8)] * 3, tmp_path / "2" / "5.pt")
    with pytest.raises(InvalidInputError, match="3 embeddings of one input"):
        values(read(tmp_path))
