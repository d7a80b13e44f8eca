"""Who takes part in extract.py: featstore, and the loops that people write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms
from torchvision.datasets import ImageFolder as TorchvisionFolder

from featstore.datasets import ImageFolder
from featstore.extraction import extract_features
from featstore.feed import PixelFeed
from featstore.preparation import Preparation
from featstore.samples import Samples
from featstore.store import FeatureStore
from featstore.transform import Transform

#: Pixels of a batch -> features; the transform is done by the feed.
Model = Callable[[torch.Tensor], torch.Tensor]


def torchvision_steps(transform: Transform) -> transforms.Compose:
    """Write a transform as everybody does."""
    mode = transforms.InterpolationMode(transform.interpolation)
    return transforms.Compose(
        [
            transforms.Resize(transform.resize, mode),
            transforms.CenterCrop(transform.size),
            transforms.ToTensor(),
            transforms.Normalize(transform.mean, transform.std),
        ]
    )


@dataclass(frozen=True)
class LoaderLoop:
    """ImageFolder + DataLoader + torch.cat, as in DINOv2's and thingsvision's extraction."""

    model: Model
    transform: Transform
    workers: int
    batch_size: int

    def feed(self, folder: Path) -> Iterator[torch.Tensor]:
        """Yield normalised float32 batches from worker processes."""
        dataset = TorchvisionFolder(str(folder), torchvision_steps(self.transform))
        for images, _ in DataLoader(dataset, self.batch_size, num_workers=self.workers):
            yield images

    def extract(self, folder: Path, scratch: Path) -> None:
        """Compute features, put them together, save them."""
        with torch.inference_mode():
            features = torch.cat([self.model(images).cpu() for images in self.feed(folder)])
        np.save(scratch / "features.npy", features.numpy())


@dataclass(frozen=True)
class ClipLoop(LoaderLoop):
    """The loop of clip-retrieval's inference, with its networks and formats.

    Its data set knows files by their names and hands on their paths, its embeddings are of
    length 1 and float16, and its sink keeps them in memory for one file with a table of the paths.
    """

    def extract(self, folder: Path, scratch: Path) -> None:
        """Compute embeddings of all files, save them and their paths."""
        files = sorted(folder.rglob("*.jpg"))
        dataset = _NamedFiles(files, torchvision_steps(self.transform))
        loader = DataLoader(
            dataset, self.batch_size, num_workers=self.workers, prefetch_factor=2, shuffle=False
        )
        embeddings, paths = [], []
        with torch.inference_mode():
            for batch in loader:
                features = self.model(batch["image_tensor"])
                features /= features.norm(dim=-1, keepdim=True)
                embeddings.append(features.cpu().to(torch.float16).numpy())
                paths.extend(batch["image_path"])
        np.save(scratch / "img_emb_0.npy", np.concatenate(embeddings))
        pd.DataFrame({"image_path": paths}).to_parquet(scratch / "metadata_0.parquet")


@dataclass(frozen=True)
class _NamedFiles(TorchDataset[dict[str, Any]]):
    files: list[Path]
    steps: transforms.Compose

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = Image.open(self.files[index]).convert("RGB")
        return {"image_tensor": self.steps(image), "image_path": str(self.files[index])}


@dataclass(frozen=True)
class Featstore:
    """featstore's extraction into a store on disk, sealed."""

    encoder: Any
    workers: int
    batch_size: int
    more: tuple[Any, ...] = ()

    def feed(self, folder: Path) -> Iterator[Any]:
        """Yield uint8 batches from threads."""
        dataset = ImageFolder.scan(folder, unlabelled=True)
        rows = len(dataset.samples)
        chunks = (
            range(start, min(start + self.batch_size, rows))
            for start in range(0, rows, self.batch_size)
        )
        preparation = Preparation(self.encoder.transform)
        with PixelFeed(dataset, [preparation], workers=self.workers) as feed:
            for batch in feed.batches(chunks, longest=self.batch_size):
                yield batch.pixels[preparation]

    def extract(self, folder: Path, scratch: Path) -> None:
        """Scan, compute, write, flush, seal."""
        dataset = ImageFolder.scan(folder, unlabelled=True)
        store = FeatureStore.create(scratch / "s.zarr", dataset.samples, source=dataset.source)
        extract_features(
            dataset,
            {f"x{i}": encoder for i, encoder in enumerate((self.encoder, *self.more))},
            store,
            workers=self.workers,
            batch_size=self.batch_size,
            progress=False,
        )


@dataclass(frozen=True)
class ManyImages:
    """A data set as long as wanted: one small image under many names."""

    n: int

    @cached_property
    def samples(self) -> Samples:
        ids = np.asarray([f"{row:08d}" for row in range(self.n)])
        return Samples(ids, np.full(self.n, ""))

    @property
    def source(self) -> dict[str, str]:
        return {"kind": "benchmark"}

    def image(self, row: int) -> bytes:
        return b"P6 4 4 255 " + row.to_bytes(4, "little") * 12


@contextmanager
def clean(folder: Path) -> Iterator[Path]:
    """Lend a folder that is emptied afterwards."""
    import shutil

    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def link_images(source: Path, target: Path, count: int) -> int:
    """Link `count` images of all classes into one folder per class; returns how many there are."""
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    step = max(len(found) // count, 1)
    for path in found[::step][:count]:
        link = target / path.parent.name / f"{path.parent.parent.name}_{path.name}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
    return len(found[::step][:count])


def pixels_of(folder: Path, transform: Transform, count: int) -> NDArray[np.uint8]:
    """Prepare images in memory, for the forward pass alone."""
    from featstore.images import load_pixels

    paths = sorted(folder.rglob("*.*"))[:count]
    assert Image.open(paths[0]).mode == "RGB"
    return np.stack([load_pixels(path, transform) for path in paths])
