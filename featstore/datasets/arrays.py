"""Images that are NumPy arrays in memory, or in a memory-mapped file."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from mmap import mmap
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featstore.datasets.held_out import held_out
from featstore.datasets.row_ids import row_ids
from featstore.errors import InvalidInputError
from featstore.holdout import HoldOut
from featstore.samples import Samples, Target
from featstore.splits import canonical_split


class ImageArrays:
    """Images as one array, or as a sequence of arrays of different sizes.

    Parameters
    ----------
    images
        Shape (n, h, w) or (n, h, w, 1, 3 or 4), uint8 or uint16; or n arrays without the first
        axis. Memory-mapped arrays are read image by image.
    targets
        Labels by name, or those of the target ``label``: a `Target`, n labels (text or numbers;
        None for none), or a boolean matrix (n, c) for a multi-label target of classes 0, 1, ….
    ids
        Length n; by default ``split/row`` with rows counted from 0 within each split, as
        ``train/0``, or the row alone where there are no splits.
    splits
        Length n, or the name of the one split.
    weights
        See `featstore.samples.Samples`.
    hold_out
        Draws a test split where there are no splits; None leaves the samples without.

    Raises
    ------
    InvalidInputError
        If lengths differ or the array is of no such shape or type.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> digits = load_digits()
    >>> data = ImageArrays((digits.images * 15).astype("uint8"), digits.target)
    >>> data.samples.ids[:3].tolist(), data.image(0).shape
    (['0', '1', '2'], (8, 8))
    """

    def __init__(
        self,
        images: NDArray[Any] | Sequence[NDArray[Any]],
        targets: Mapping[str, Target | ArrayLike] | Target | ArrayLike | None = None,
        *,
        ids: Sequence[str] | NDArray[np.str_] | None = None,
        splits: str | Sequence[str] | NDArray[np.str_] | None = None,
        weights: ArrayLike | None = None,
        hold_out: HoldOut | None = HoldOut(),
    ) -> None:
        n = len(images)
        if n == 0:
            raise InvalidInputError("there are no images in the array")
        if isinstance(images, np.ndarray) and images.dtype != object:
            _check(images)
        self._images = images
        names = np.full(n, splits or "") if isinstance(splits, str | None) else np.asarray(splits)
        names = np.asarray([canonical_split(str(name)) for name in names.tolist()])
        if not isinstance(targets, Mapping):
            targets = {} if targets is None else {"label": targets}
        columns = {name: as_target(labels) for name, labels in targets.items()}
        samples = Samples(
            row_ids(names) if ids is None else np.asarray([str(name) for name in ids]),
            names,
            columns,
            self._marks(),
            None if weights is None else np.asarray(weights, np.float64),
        )
        self.source: Mapping[str, Any]
        self.samples, self.source = held_out(samples, {"kind": "arrays"}, hold_out)

    def image(self, row: int) -> NDArray[Any]:
        """Return the pixels of a row."""
        return np.asarray(self._images[row])

    def __getstate__(self) -> dict[str, Any]:
        """Leave pixels that are mapped from a file in the file."""
        images = self._images
        base: object = getattr(images, "base", None)
        if not isinstance(images, np.memmap) or not isinstance(base, mmap):
            return self.__dict__  # in memory, or a part of what was mapped
        order: Literal["C", "F"] = "C" if images.flags.c_contiguous else "F"
        place = _MappedPixels(
            str(images.filename), images.dtype, images.offset, images.shape, order
        )
        return {**self.__dict__, "_images": place}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Map them again."""
        self.__dict__.update(state)
        if isinstance(self._images, _MappedPixels):
            self._images = self._images.open()

    def _marks(self) -> NDArray[np.uint64] | None:
        """CRC of each image; None for a file, which would have to be read as a whole."""
        if isinstance(self._images, np.memmap):
            return None
        return np.asarray(
            [zlib.crc32(np.ascontiguousarray(image).tobytes()) for image in self._images], np.uint64
        )


@dataclass(frozen=True)
class _MappedPixels:
    """Where a memory-mapped array lies, with the arguments of `numpy.memmap`."""

    filename: str
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    order: Literal["C", "F"]

    def open(self) -> NDArray[Any]:
        return np.memmap(self.filename, self.dtype, "r", self.offset, self.shape, order=self.order)


def as_target(labels: Target | ArrayLike) -> Target:
    """Return labels as a target; see `ImageArrays`.

    Numbers become classes in their order, text in its alphabetical order.

    Examples
    --------
    >>> as_target([10, 9, 10]).classes
    ('9', '10')
    """
    if isinstance(labels, Target):
        return labels
    values = np.asarray(labels)
    if values.ndim == 2 and values.dtype == bool:
        return Target("multi", tuple(map(str, range(values.shape[1]))), values)
    if values.ndim != 1:
        raise InvalidInputError(
            f"labels of shape {values.shape} and type {values.dtype}: expected one label per "
            "image, or a boolean matrix"
        )
    if np.issubdtype(values.dtype, np.integer):
        classes, codes = np.unique(values, return_inverse=True)
        return Target("single", tuple(map(str, classes.tolist())), codes.astype(np.int32))
    return Target.from_labels([None if v is None else str(v) for v in values.tolist()])


def _check(images: NDArray[Any]) -> None:
    channels = images.shape[3] if images.ndim == 4 else 1
    if images.ndim not in (3, 4) or channels not in (1, 3, 4):
        raise InvalidInputError(
            f"an array of shape {images.shape} is no stack of images; expected (n, h, w) or "
            "(n, h, w, channels) with 1, 3 or 4 channels (channels come last), or choose bands"
        )
    if images.dtype not in (np.uint8, np.uint16):
        raise InvalidInputError(
            f"pixels of {images.dtype} have no known range; scale them to [0, 255] and pass uint8"
        )
