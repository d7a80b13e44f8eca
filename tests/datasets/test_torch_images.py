"""Map-style data sets of PyTorch: torchvision's ImageFolder, subsets, tensors, dictionaries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset
from torchvision.datasets import ImageFolder as TheirFolder

import featstore as fs
from featstore.datasets import ImageFolder, TorchImages, open_dataset
from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.images import decode

NET = "random/resnet18?size=32"


class Listed(Dataset[Any]):
    """A user's data set: ids and labels beside items of some form."""

    def __init__(self, items: list[Any], **attributes: Any) -> None:
        self.items = items
        vars(self).update(attributes)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, place: int) -> Any:
        return self.items[place]


def test_torchvisions_folder_gives_the_same_features(photos: Path, tmp_path: Path) -> None:
    theirs = {split: TheirFolder(str(photos / split)) for split in ("train", "test")}
    data = TorchImages({split: Subset(d, range(0, len(d), 9)) for split, d in theirs.items()})
    samples = data.samples
    assert samples.split_names == ("train", "test")
    assert samples.targets["label"].classes == tuple(theirs["train"].classes)
    assert (photos / "train" / str(samples.ids[0])).is_file()
    ours = ImageFolder.scan(photos).samples
    code = {str(name): c for name, c in zip(ours.ids, ours.targets["label"].codes, strict=True)}
    expected = [code[f"{s}/{i}"] for s, i in zip(samples.splits, samples.ids, strict=True)]
    assert samples.targets["label"].codes.tolist() == expected
    X = fs.extract(data, NET, tmp_path / "a.zarr", dtype="float32").store.view("random_resnet18")
    Y = fs.extract(photos, NET, tmp_path / "b.zarr", dtype="float32").store.view("random_resnet18")
    row = {str(name): i for i, name in enumerate(Y.ids)}
    rows = [row[f"{s}/{i}"] for s, i in zip(samples.splits, samples.ids, strict=True)]
    np.testing.assert_allclose(X.array(), Y.array()[rows], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["pil", "tensor", "array", "path", "bytes", "dict", "pair"])
def test_every_form_of_an_item(photos: Path, form: str) -> None:
    path = sorted(photos.rglob("*.jpg"))[0]
    image = Image.open(path).convert("RGB")
    pixels = np.asarray(image)
    item = {
        "pil": image,
        "tensor": torch.from_numpy(pixels.transpose(2, 0, 1).copy()),
        "array": pixels,
        "path": str(path),
        "bytes": path.read_bytes(),
        "dict": {"image": image, "label": 1},
        "pair": (image, 1),
    }[form]
    data = TorchImages(Listed([item]), [0], hold_out=None)
    np.testing.assert_array_equal(np.asarray(decode(data.image(0))), pixels)


def test_ids_labels_and_weights() -> None:
    items = [np.zeros((4, 4), np.uint8)] * 4
    data = TorchImages(
        Listed(items, ids=["a", "b", "c", "d"], targets=torch.tensor([1, 0, 1, 0])),
        weights=[1.0, 0.5, 1.0, 2.0],
        hold_out=None,
    )
    assert data.samples.ids.tolist() == ["a", "b", "c", "d"]
    assert data.samples.targets["label"].codes.tolist() == [1, 0, 1, 0]
    assert data.samples.weights is not None
    assert data.samples.weights[1] == 0.5
    several = TorchImages(
        Listed(items),
        {"kind": ["x", "y", None, "x"], "tags": np.eye(4, 2, dtype=bool)},
        hold_out=None,
    ).samples
    assert several.ids.tolist() == ["0", "1", "2", "3"]
    assert several.targets["kind"].codes.tolist() == [0, 1, -1, 0]
    assert several.targets["tags"].kind == "multi"


def test_extract_takes_it_as_it_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    items = [(rng.integers(0, 256, (20, 30, 3), np.uint8), i % 2) for i in range(10)]
    torch_set = Listed(items, targets=[label for _, label in items], classes=["cat", "dog"])
    result = fs.extract(torch_set, NET, tmp_path / "s.zarr")
    assert result.images == 10
    assert result.store.target("label")[1].classes == ("cat", "dog")
    assert fs.extract(torch_set, NET, tmp_path / "s.zarr").images == 0


def test_what_cannot_be_used(tmp_path: Path) -> None:
    class Streamed(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter([])

    with pytest.raises(InvalidInputError, match=r"no __getitem__ and __len__|no source of images"):
        open_dataset(Streamed())
    with pytest.raises(InvalidInputError, match="a int is no source of images"):
        open_dataset(3)
    with pytest.raises(InvalidInputError, match="TensorDataset does not say the labels"):
        TorchImages(TensorDataset(torch.zeros(3, 3, 4, 4, dtype=torch.uint8)))
    with pytest.raises(InvalidInputError, match="no items"):
        TorchImages(Listed([]))
    floats = TorchImages(Listed([torch.zeros(3, 4, 4)]), [0], hold_out=None)
    with pytest.raises(InvalidInputError, match=r"item 0 is a tensor of torch\.float32"):
        floats.image(0)
    with pytest.raises(InvalidInputError, match="item 0 is a float; expected a PIL image"):
        TorchImages(Listed([(1.0, 2)]), [0], hold_out=None).image(0)
    with pytest.raises(InvalidInputError, match="item 0 has no 'image'; it has pixels"):
        TorchImages(Listed([{"pixels": 1}]), [0], hold_out=None).image(0)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"no image")
    broken = TorchImages(TheirFolder(str(tmp_path)), hold_out=None)
    with pytest.raises(UnreadableImageError, match=r"cannot read image 'a/1\.png'"):
        broken.image(0)
