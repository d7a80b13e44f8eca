"""torchvision's data sets, and the files of MNIST's kin that Debian installs."""

from __future__ import annotations

import gzip
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision

from featstore.datasets import idx_images, open_dataset
from featstore.errors import InvalidInputError

FASHION = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture
def fashion() -> Path:
    if not FASHION.is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    return FASHION


def test_fashion_mnist_of_debian_is_torchvisions(fashion: Path, tmp_path: Path) -> None:
    data: Any = open_dataset(f"torchvision:FashionMNIST?root={fashion}")
    samples = data.samples
    assert (samples.splits == "train").sum() == 60_000
    assert (samples.splits == "test").sum() == 10_000
    assert samples.ids[[0, 59_999, 60_000]].tolist() == ["train/0", "train/59999", "test/0"]
    assert samples.targets["label"].classes[9] == "Ankle boot"
    # torchvision's own reader, from the layout it wants.
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for file in fashion.glob("t10k*.gz"):
        (raw / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        shutil.copyfile(raw / name.replace("train", "t10k"), raw / name)
    theirs = torchvision.datasets.FashionMNIST(str(tmp_path), train=False)
    np.testing.assert_array_equal(samples.targets["label"].codes[60_000:], theirs.targets)
    for row in (0, 17, 9_999):
        np.testing.assert_array_equal(data.image(60_000 + row), np.asarray(theirs[row][0]))
    ours: Any = open_dataset(f"torchvision:FashionMNIST?root={tmp_path}")
    assert ours.samples.targets["label"].classes[9] == "Ankle boot"
    np.testing.assert_array_equal(np.asarray(ours.image(10_017)), data.image(60_017))


def test_the_folder_alone_is_recognised(fashion: Path) -> None:
    data = open_dataset(fashion)
    assert data.source["kind"] == "idx"
    assert data.samples.targets["label"].classes == tuple("0123456789")


def write_cifar(root: Path) -> np.ndarray[Any, Any]:
    """Write CIFAR-10's files, pickled rows of 3 x 32 x 32 values, of made-up pixels."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 20, 3072), dtype=np.uint8)
    for values, name in zip(
        pixels, [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"], strict=True
    ):
        batch = {"data": values, "labels": [i % 10 for i in range(20)]}
        (folder / name).write_bytes(pickle.dumps(batch))
    meta = {"label_names": [f"class {i}" for i in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta))
    return pixels


def test_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = write_cifar(tmp_path)
    with pytest.raises(InvalidInputError, match=r"CIFAR10 cannot be opened in .*: Dataset not"):
        open_dataset(f"torchvision:CIFAR10?root={tmp_path}")
    # Made-up values do not have the published sums.
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *a: True)
    data = open_dataset(f"torchvision:CIFAR10?root={tmp_path}")
    assert data.samples.ids[[0, 99, 100]].tolist() == ["train/0", "train/99", "test/0"]
    assert data.samples.targets["label"].classes[3] == "class 3"
    expected = pixels[5, 7].reshape(3, 32, 32).transpose(1, 2, 0)
    np.testing.assert_array_equal(np.asarray(data.image(107)), expected)


def test_unknown_names_and_options(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"no data set 'CIFAR01'. Did you mean CIFAR10"):
        open_dataset(f"torchvision:CIFAR01?root={tmp_path}")
    with pytest.raises(InvalidInputError, match="no option 'download' here"):
        open_dataset(f"torchvision:CIFAR10?root={tmp_path}&download=yes")
    with pytest.raises(InvalidInputError, match="cannot be opened"):
        open_dataset(f"torchvision:EMNIST?root={tmp_path}&split=letters")


def test_damaged_idx_files(fashion: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="neither train-images-idx3-ubyte nor"):
        idx_images(tmp_path)
    for file in fashion.glob("t10k*"):
        shutil.copyfile(file, tmp_path / file.name)
        shutil.copyfile(file, tmp_path / file.name.replace("t10k", "train"))
    images = tmp_path / "train-images-idx3-ubyte.gz"
    whole = images.read_bytes()
    images.write_bytes(whole[:-100])
    with pytest.raises(InvalidInputError, match=r"train-images-idx3-ubyte\.gz cannot be read"):
        idx_images(tmp_path)
    images.write_bytes(gzip.compress(gzip.decompress(whole)[:-784], 1))
    with pytest.raises(InvalidInputError, match=r"was cut off: .* shape .10000, 28, 28."):
        idx_images(tmp_path)
