"""The files of MNIST and its kin: gzipped arrays in the IDX format.

The format is that of https://yann.lecun.com/exdb/mnist: two zero bytes, the type (8: uint8), the
number of axes, each length as a big-endian 32-bit integer, then the values.  Debian's package
dataset-fashion-mnist installs such files.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featstore.datasets.arrays import ImageArrays
from featstore.datasets.image_files import describe
from featstore.datasets.label_columns import coded
from featstore.errors import InvalidInputError

#: Beginnings of the files' names, and the split they are of.
_PARTS = {"train": "train", "t10k": "test"}
_UINT8 = 8


def idx_images(root: str | Path, *, classes: str | Sequence[str] | None = None) -> ImageArrays:
    """Read MNIST, Fashion-MNIST or KMNIST from their four files.

    Ids are ``train/0``, … and ``test/0``, …, in the order of the files.

    Parameters
    ----------
    root
        Folder with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and those of ``t10k``,
        gzipped (``.gz``) or not.
    classes
        Names of the classes in the order of their numbers, with commas between them if it is text;
        the numbers themselves by default.

    Raises
    ------
    InvalidInputError
        If a file is missing or damaged.
    """
    root = Path(root)
    names = classes.split(",") if isinstance(classes, str) else classes
    images, codes, splits = [], [], []
    for beginning, split in _PARTS.items():
        images.append(_read(root, f"{beginning}-images-idx3-ubyte", axes=3))
        codes.append(_read(root, f"{beginning}-labels-idx1-ubyte", axes=1))
        splits += [split] * len(images[-1])
        if len(images[-1]) != len(codes[-1]):
            raise InvalidInputError(
                f"{root} has {len(images[-1])} images and {len(codes[-1])} labels of {beginning}"
            )
    labels = np.concatenate(codes)
    names = names or [str(code) for code in range(int(labels.max()) + 1)]
    arrays = ImageArrays(
        np.concatenate(images), {"label": coded(labels.astype(np.int32), names)}, splits=splits
    )
    given = None if classes is None else ",".join(names)
    arrays.source = describe("idx", root, classes=given)
    return arrays


def is_idx_folder(root: Path) -> bool:
    """Whether a folder holds such files."""
    return any((root / f"train-images-idx3-ubyte{end}").is_file() for end in ("", ".gz"))


def _read(root: Path, name: str, *, axes: int) -> NDArray[np.uint8]:
    file = next((f for f in (root / f"{name}.gz", root / name) if f.is_file()), None)
    if file is None:
        raise InvalidInputError(f"there is neither {name} nor {name}.gz in {root}")
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInputError(f"{file} cannot be read: {error}") from error
    shape = tuple(np.frombuffer(content[4 : 4 + 4 * axes], ">u4").tolist())
    start = 4 + 4 * axes
    if content[:4] != bytes((0, 0, _UINT8, axes)) or len(content) - start != np.prod(shape):
        raise InvalidInputError(
            f"{file} is no IDX file of uint8 with {axes} axes, or was cut off: {len(content)} "
            f"bytes with the header {content[:4].hex()} and the shape {shape}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
