"""ImageNet: the development kit, Kaggle's archive and sorted folders agree."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from featstore.datasets import imagenet, open_dataset
from featstore.errors import InvalidInputError

FISH, BIRD = "n01440764", "n01530575"
VAL = [f"val/ILSVRC2012_val_{number:08d}.JPEG" for number in (1, 2, 3)]


def write_devkit(place: Path) -> None:
    """Write the kit's files: a struct array in meta.mat, and a number on each line."""
    (place / "data").mkdir(parents=True)
    # The kit numbers synsets in an order of its own, and has inner nodes behind the classes.
    synsets = np.zeros(
        3, [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    )
    synsets["ILSVRC2012_ID"] = [1, 2, 1001]
    synsets["WNID"] = [BIRD, FISH, "n00001740"]
    synsets["words"] = ["brambling", "tench", "entity"]
    synsets["num_children"] = [0, 0, 2]
    savemat(place / "data" / "meta.mat", {"synsets": synsets[:, None]})
    (place / "data" / "ILSVRC2012_validation_ground_truth.txt").write_text("2\n1\n2\n")


@pytest.fixture
def root(put: Callable[..., Path], tmp_path: Path) -> Path:
    root = tmp_path / "imagenet"
    put(f"train/{FISH}/{FISH}_10026.JPEG", f"train/{BIRD}/{BIRD}_1.JPEG", *VAL, root=root)
    return root


def test_the_development_kit(root: Path) -> None:
    write_devkit(root / "ILSVRC2012_devkit_t12")
    data = open_dataset(root)
    samples = data.samples
    assert data.source["kind"] == "imagenet"
    assert samples.ids.tolist() == [
        f"train/{FISH}/{FISH}_10026.JPEG",
        f"train/{BIRD}/{BIRD}_1.JPEG",
        *VAL,
    ]
    assert samples.targets["label"].classes == (FISH, BIRD)
    assert samples.targets["label"].codes.tolist() == [0, 1, 0, 1, 0]
    assert samples.splits.tolist() == ["train", "train", "test", "test", "test"]
    assert data.image(2) == root / VAL[0]


def test_a_kit_elsewhere(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="neither ILSVRC2012_devkit_t12 nor"):
        imagenet(root)
    write_devkit(tmp_path / "kit")
    data = open_dataset(f"imagenet:{root}?devkit={tmp_path / 'kit'}&val_as=val")
    assert data.samples.split_names == ("train", "val")
    assert open_dataset(data.source["place"]).samples.differences(data.samples) == []


def test_sorted_folders_and_kaggle_agree_with_the_kit(
    root: Path, put: Callable[..., Path], tmp_path: Path
) -> None:
    write_devkit(root / "ILSVRC2012_devkit_t12")
    kit = imagenet(root).samples
    kaggle = tmp_path / "kaggle"
    shutil.copytree(root / "train", kaggle / "Data" / "CLS-LOC" / "train")
    shutil.copytree(root / "val", kaggle / "Data" / "CLS-LOC" / "val")
    put("Data/CLS-LOC/test/ILSVRC2012_test_00000001.JPEG", root=kaggle)
    rows = [
        f"ILSVRC2012_val_0000000{n},{s} 85 1 499 272 " for n, s in enumerate((FISH, BIRD, FISH), 1)
    ]
    (kaggle / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *rows]))
    assert open_dataset(kaggle).samples.differences(kit) == []
    for name, synset in zip(VAL, (FISH, BIRD, FISH), strict=True):
        (root / "val" / synset).mkdir(exist_ok=True)
        (root / name).rename(root / "val" / synset / Path(name).name)
    shutil.rmtree(root / "ILSVRC2012_devkit_t12")
    by_folder = imagenet(root).samples
    assert by_folder.targets["label"].classes == (FISH, BIRD)
    assert (by_folder.splits == "test").sum() == 3


def test_bad_layouts(root: Path, put: Callable[..., Path], tmp_path: Path) -> None:
    write_devkit(tmp_path / "kit")
    truth = tmp_path / "kit" / "data" / "ILSVRC2012_validation_ground_truth.txt"
    truth.write_text("2\n1\n")
    with pytest.raises(InvalidInputError, match=r"val_00000003\.JPEG has no label"):
        imagenet(root, devkit=tmp_path / "kit")
    truth.write_text("2\n1\n7\n")
    with pytest.raises(InvalidInputError, match="is not the development kit"):
        imagenet(root, devkit=tmp_path / "kit")
    put("train/tench/1.JPEG", root=root)
    truth.write_text("2\n1\n2\n")
    with pytest.raises(InvalidInputError, match=r"tench/1\.JPEG has no label"):
        imagenet(root, devkit=tmp_path / "kit")
    with pytest.raises(InvalidInputError, match="neither train nor val"):
        imagenet(tmp_path / "kit")
