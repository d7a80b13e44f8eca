"""Any map-style data set of PyTorch (`torch.utils.data.Dataset`); torch itself is not needed."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.datasets.arrays import as_target
from featstore.datasets.held_out import held_out
from featstore.datasets.label_columns import coded
from featstore.datasets.row_ids import row_ids
from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.holdout import HoldOut
from featstore.images import ImageSource
from featstore.samples import Samples, Target
from featstore.splits import canonical_split

#: Where torchvision's data sets keep their labels; read from there, no image is decoded.
_LABELS = ("targets", "labels", "_labels", "_targets", "y")
#: Where a data set may keep ids.
_IDS = ("ids",)
#: Where torchvision's folders keep (path, class) of their images.
_FILES = ("samples", "imgs")


class TorchImages:
    """Map-style data sets, one for each split.

    An item is an image, or begins with one (``image, label``), or is a dictionary with ``"image"``;
    an image is a `PIL.Image`, a uint8 tensor (channels first), an array (channels last), a path or
    encoded bytes.  Items are fetched from several threads, each once, when they are needed.

    Parameters
    ----------
    datasets
        One data set, or several by the names of their splits.  They must not resize or normalise:
        that is for each backbone's own transform to do.
    targets
        Labels of all rows, split after split; see `featstore.datasets.arrays.ImageArrays`.  By
        default those of the data sets (``targets`` or ``labels``, with names from ``classes``).
    ids
        Of all rows.  By default ``ids`` of the data sets, else paths of their files below ``root``,
        else ``split/row``.
    weights
        See `featstore.samples.Samples`.
    hold_out
        Draws a test split from a single data set; None leaves the samples without splits.

    Raises
    ------
    InvalidInputError
        If there are no items or no labels, or lengths differ.
    """

    def __init__(
        self,
        datasets: Any | Mapping[str, Any],
        targets: Mapping[str, Any] | Any | None = None,
        *,
        ids: Sequence[str] | None = None,
        weights: Sequence[float] | None = None,
        hold_out: HoldOut | None = HoldOut(),
    ) -> None:
        named = dict(datasets) if isinstance(datasets, Mapping) else {"": datasets}
        self._parts = [_checked(part) for part in named.values()]
        lengths = [len(part) for part in self._parts]
        self._ends = list(itertools.accumulate(lengths))
        names = [canonical_split(name) for name in named]
        splits = np.repeat(np.asarray(names, str), lengths)
        if targets is None:
            columns = {"label": _labels(self._parts)}
        else:
            given = targets if isinstance(targets, Mapping) else {"label": targets}
            columns = {name: as_target(labels) for name, labels in given.items()}
        samples = Samples(
            _ids(self._parts, splits) if ids is None else np.asarray([str(name) for name in ids]),
            splits,
            columns,
            weights=None if weights is None else np.asarray(weights, np.float64),
        )
        kinds = ", ".join(dict.fromkeys(type(part).__name__ for part in self._parts))
        self.source: Mapping[str, Any]
        self.samples, self.source = held_out(samples, {"kind": "torch", "dataset": kinds}, hold_out)

    def image(self, row: int) -> ImageSource:
        """Fetch the item of a row and return its image."""
        part = bisect.bisect_right(self._ends, row)
        place = row - (self._ends[part - 1] if part else 0)
        try:
            item = self._parts[part][place]
        except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises on damaged files
            raise UnreadableImageError(
                f"cannot read image {str(self.samples.ids[row])!r}: {error}"
            ) from error
        return _image(item, str(self.samples.ids[row]))


def _checked(dataset: Any) -> Any:
    if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
        raise InvalidInputError(
            f"{type(dataset).__name__} has no __getitem__ and __len__; rows need places and a "
            "number, so that an extraction can go on where it stopped: give a map-style data set"
        )
    if len(dataset) == 0:
        raise InvalidInputError(f"there are no items in the {type(dataset).__name__}")
    return dataset


def _image(item: Any, name: str) -> ImageSource:
    if isinstance(item, Mapping):
        if "image" not in item:
            raise InvalidInputError(
                f"item {name} has no 'image'; it has {', '.join(map(str, item))}"
            )
        item = item["image"]
    elif isinstance(item, tuple | list):
        item = item[0]
    if hasattr(item, "permute") and hasattr(item, "detach"):  # a tensor
        pixels = np.asarray(item.detach().cpu().numpy())
        if pixels.dtype == np.uint8 and pixels.ndim in (2, 3):
            return pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
        raise InvalidInputError(
            f"item {name} is a tensor of {item.dtype} and shape {tuple(item.shape)}; expected "
            "uint8 and (channels, height, width). Leave out the data set's own transform: each "
            "backbone resizes and normalises in its own way"
        )
    source: ImageSource = item if isinstance(item, bytes | np.ndarray) else _opened(item, name)
    return source


def _opened(item: Any, name: str) -> ImageSource:
    from PIL import Image

    if isinstance(item, Image.Image):
        return item
    if isinstance(item, str | Path):
        return Path(item)
    raise InvalidInputError(
        f"item {name} is a {type(item).__name__}; expected a PIL image, a uint8 tensor or array, "
        "a path or bytes, alone or in front of the label"
    )


def _along(dataset: Any, find: Callable[[Any], list[Any] | None]) -> list[Any] | None:
    """Find something of every item, also through torch's Subset."""
    if hasattr(dataset, "dataset") and hasattr(dataset, "indices"):
        of_all = _along(dataset.dataset, find)
        return None if of_all is None else [of_all[i] for i in dataset.indices]
    found = find(dataset)
    return found if found is not None and len(found) == len(dataset) else None


def _attribute(*names: str) -> Callable[[Any], list[Any] | None]:
    def find(dataset: Any) -> list[Any] | None:
        for name in names:
            values = getattr(dataset, name, None)
            if values is not None and hasattr(values, "__len__"):
                # Tensors and arrays become Python's own numbers.
                return list(values.tolist() if hasattr(values, "tolist") else values)
        return None

    return find


def _labels(parts: Sequence[Any]) -> Target:
    values: list[Any] = []
    for part in parts:
        found = _along(part, _attribute(*_LABELS))
        if found is None:
            raise InvalidInputError(
                f"{type(part).__name__} does not say the labels of its items (it has neither "
                "targets nor labels with one entry each); pass them as targets, which spares "
                "decoding every image"
            )
        values += found
    classes = _classes(parts[0])
    if classes and all(isinstance(value, int) for value in values):
        return coded(values, classes)
    return as_target(values)


def _classes(dataset: Any) -> list[str]:
    if hasattr(dataset, "dataset") and hasattr(dataset, "indices"):
        return _classes(dataset.dataset)
    classes = getattr(dataset, "classes", None)
    if not isinstance(classes, list | tuple):
        return []
    # ImageNet of torchvision has several words for each class.
    return [c if isinstance(c, str) else ", ".join(map(str, c)) for c in classes]


def _ids(parts: Sequence[Any], splits: NDArray[np.str_]) -> NDArray[np.str_]:
    given = [_along(part, _attribute(*_IDS)) for part in parts]
    if all(ids is not None for ids in given):
        return np.asarray([str(name) for ids in given for name in ids or ()])
    paths = [_along(part, _paths) for part in parts]
    if all(found is not None for found in paths):
        names = [name for found in paths for name in found or ()]
        if len(set(names)) == len(names):
            return np.asarray(names)
        # Several splits under roots of their own.
        return np.asarray([f"{s}/{n}" if s else n for s, n in zip(splits, names, strict=True)])
    return row_ids(splits)


def _paths(dataset: Any) -> list[Any] | None:
    """Paths below the root, of data sets such as torchvision's ImageFolder."""
    root = getattr(dataset, "root", None)
    listed = _attribute(*_FILES)(dataset)
    if root is None or not listed or not all(isinstance(e, tuple | list) and e for e in listed):
        return None
    try:
        return [Path(entry[0]).relative_to(root).as_posix() for entry in listed]
    except (TypeError, ValueError):
        return None
