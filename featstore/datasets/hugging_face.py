"""Data sets of Hugging Face's `datasets`, loaded from this machine's disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.datasets.held_out import held_out
from featstore.datasets.image_files import describe
from featstore.datasets.label_columns import coded, is_label, label_sets, labels
from featstore.datasets.row_ids import row_ids
from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.holdout import HoldOut
from featstore.images import ImageSource
from featstore.optional import import_optional
from featstore.samples import Samples, Target
from featstore.splits import canonical_split
from featstore.suggest import did_you_mean


class HuggingFaceImages:
    """A `datasets.Dataset`, or a `datasets.DatasetDict` of splits.

    Rows stay in their memory-mapped Arrow files; the encoded bytes of an image are read when it is
    needed.

    Parameters
    ----------
    dataset
        With an image column.
    image
        Its name; by default the only one of the feature type ``Image``.
    id
        Column of unique ids; by default they are ``split/row``, such as ``train/0``.
    hold_out
        Draws a test split from a single data set; None leaves the samples without splits.

    Attributes
    ----------
    samples
        Targets are the columns of class labels (also lists of them, multi-label), text and whole
        numbers, except those with another value in every row.

    Raises
    ------
    InvalidInputError
        If there is no image column, several, or one of another name, or splits have other columns.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        image: str | None = None,
        id: str | None = None,  # noqa: A002  what everybody calls it
        hold_out: HoldOut | None = HoldOut(),
    ) -> None:
        datasets = import_optional("datasets", extra="hf")
        given = dict(dataset) if isinstance(dataset, Mapping) else {"": dataset}
        features = next(iter(given.values())).features
        for split, part in given.items():
            if part.features != features:
                raise InvalidInputError(f"split {split!r} has other columns than the first one")
        self._column = _image_column(features, image, datasets)
        if id is not None and id not in features:
            raise InvalidInputError(f"there is no column {id!r}. {did_you_mean(id, features)}")
        undecoded = datasets.Image(decode=False)
        self._parts = [part.cast_column(self._column, undecoded) for part in given.values()]
        lengths = [len(part) for part in self._parts]
        self._starts = np.cumsum([0, *lengths])
        names = [canonical_split(str(name)) for name in given]
        splits = np.repeat(np.asarray(names, str), lengths)
        table = datasets.concatenate_datasets(
            [part.remove_columns(self._column) for part in given.values()]
        )
        ids = row_ids(splits) if id is None else np.asarray([str(name) for name in table[id]])
        targets = dict(_targets(table, {id} if id is not None else set(), datasets))
        samples = Samples(ids, splits, targets, self._sizes())
        self.source: Mapping[str, Any]
        self.samples, self.source = held_out(samples, {"kind": "hf"}, hold_out)

    def image(self, row: int) -> ImageSource:
        """Return the encoded image of a row, or its file."""
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        cell = self._parts[part][row - int(self._starts[part])][self._column]
        if cell is None or (cell["bytes"] is None and cell["path"] is None):
            raise UnreadableImageError(
                f"cannot read image {str(self.samples.ids[row])!r}: the cell is empty"
            )
        content: bytes | None = cell["bytes"]
        return Path(cell["path"]) if content is None else content

    def _sizes(self) -> NDArray[np.uint64] | None:
        """Sizes of the encoded images, from the offsets that Arrow keeps; None if bytes lack."""
        import pyarrow.compute as pc

        sizes = []
        for part in self._parts:
            cells = part.with_format("arrow")[:][self._column]
            found = pc.binary_length(pc.struct_field(cells, "bytes"))
            if found.null_count:
                return None
            sizes.append(found.to_numpy())
        return np.concatenate(sizes).astype(np.uint64)


def hugging_face(
    place: str | Path,
    *,
    image: str | None = None,
    id: str | None = None,  # noqa: A002
    hold_out: HoldOut | None = HoldOut(),
) -> HuggingFaceImages:
    """Open what ``dataset.save_to_disk(place)`` has written; nothing is fetched from the Hub.

    Parameters
    ----------
    place
        The folder.
    image, id, hold_out
        As of `HuggingFaceImages`.

    Raises
    ------
    InvalidInputError
        If there is no such data set, or it has no images.
    MissingDependencyError
        If `datasets` is not installed.
    """
    datasets = import_optional("datasets", extra="hf")
    try:
        loaded = datasets.load_from_disk(str(place))
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInputError(
            f"{place} is no data set that save_to_disk of Hugging Face's datasets has written: "
            f"{error}"
        ) from error
    images = HuggingFaceImages(loaded, image=image, id=id, hold_out=hold_out)
    images.source = {**images.source, **describe("hf", Path(place), image=image, id=id)}
    return images


def _image_column(features: Mapping[str, Any], name: str | None, datasets: Any) -> str:
    columns = [column for column, kind in features.items() if isinstance(kind, datasets.Image)]
    if name is not None:
        if name not in columns:
            raise InvalidInputError(
                f"there is no image column {name!r}. {did_you_mean(name, columns)}"
            )
        return name
    if len(columns) != 1:
        found = ", ".join(columns) or f"none among {', '.join(features)}"
        raise InvalidInputError(
            f"one image column is needed, and there are: {found}; say which (image=…)"
        )
    return columns[0]


def _targets(table: Any, taken: set[str], datasets: Any) -> Sequence[tuple[str, Target]]:
    import pandas as pd

    found: list[tuple[str, Target]] = []
    for name, kind in table.features.items():
        inner = getattr(kind, "feature", None)
        if name in taken:
            continue
        if isinstance(kind, datasets.ClassLabel):
            codes = [-1 if code is None else code for code in table[name]]
            found.append((name, coded(codes, kind.names)))
        elif isinstance(inner, datasets.ClassLabel):
            present = np.zeros((len(table), len(inner.names)), bool)
            for row, cell in enumerate(table[name]):
                present[row, list(cell or ())] = True
            found.append((name, Target("multi", tuple(inner.names), present)))
        elif isinstance(inner, datasets.Value) and inner.dtype == "string":
            found.append((name, label_sets(pd.Series(list(table[name]), name=name, dtype=object))))
        elif isinstance(kind, datasets.Value):
            column = pd.Series(list(table[name]), name=name, dtype=object)
            if is_label(column) and column.nunique() > 1:
                found.append((name, labels(column, listed_in="the data set", missing="keep")))
    return found
