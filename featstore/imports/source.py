"""Source: what a reader found in a file or folder of another tool, before anyone chose from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from featstore.errors import InvalidInputError
from featstore.imports.columns import joined_targets
from featstore.imports.values import NoRowsError, StackedValues, Values
from featstore.samples import Target
from featstore.suggest import did_you_mean

#: Reads a column when it is wanted: an array, a list, or a finished `Target`.
Column = Callable[[], Any]

#: Arrays that an error lists.
_LISTED = 10
#: Names that tools give to the matrix of features, the usual ones first.
_FEATURES = (
    "features",
    "embeddings",
    "embedding",
    "feature",
    "feats",
    "image_features",
    "img_emb",
    "emb",
    "X",
    "x",
)


@dataclass(frozen=True, eq=False)
class Source:
    """A matrix of features, and columns that go with its rows.

    Attributes
    ----------
    values
        The matrix.
    layout
        What was recognised, for people: ``"clip-retrieval folder"``.
    columns
        Everything else that has one entry per row, by name; read only when wanted.
    misfits
        Length of what may be meant as a column and has another number of entries, by name.
    targets
        Labels with their classes, in files that featstore wrote.
    ids, split, labels
        Columns that the format itself gives this meaning; None and () where it does not say.
    notes
        What people should know about how the source was read.
    """

    values: Values
    layout: str
    columns: Mapping[str, Column] = field(default_factory=dict)
    misfits: Mapping[str, int] = field(default_factory=dict)
    targets: Mapping[str, Column] = field(default_factory=dict)
    ids: str | None = None
    split: str | None = None
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def chosen_key(
    arrays: Mapping[str, tuple[Sequence[int], str]], key: str | None, where: object
) -> str:
    """Choose the array that holds the features.

    Parameters
    ----------
    arrays
        Shape and dtype of every array of the file, by name.
    key
        The one that was asked for; None takes one with a usual name, or the only float matrix.
    where
        The file, for messages.

    Raises
    ------
    InvalidInputError
        If there is no such array, or several could be meant.
    """
    if key is not None:
        if key not in arrays:
            raise InvalidInputError(f"{where} has no array {key!r}. {did_you_mean(key, arrays)}")
        return key
    matrices = [
        name
        for name, (shape, dtype) in arrays.items()
        if len(shape) == 2 and "float" in dtype.lower()
    ]
    usual = [name for name in _FEATURES if name in matrices]
    if usual or len(matrices) == 1:
        return (usual or matrices)[0]
    what = "several matrices of floats" if matrices else "no matrix of floats"
    raise InvalidInputError(
        f"{where} holds {what}; name the one with the features (--key). There are: "
        f"{_listed(arrays) or 'none at all'}"
    )


def _listed(arrays: Mapping[str, tuple[Sequence[int], str]]) -> str:
    """Return names, shapes and dtypes; tables have no shapes."""
    shown = [
        " ".join([name, *([str(tuple(shape))] if -1 not in shape else []), dtype])
        for name, (shape, dtype) in list(arrays.items())[:_LISTED]
    ]
    return ", ".join(shown) + (f" and {len(arrays) - _LISTED} more" * (len(arrays) > _LISTED))


def stacked_files(
    files: Sequence[Path], read: Callable[[Path], Source], layout: str, where: Path
) -> Source:
    """Read files and put them below each other; those without rows are passed over, and named.

    Raises
    ------
    InvalidInputError
        If none has rows, or one cannot be read.
    """
    sources, empty = [], []
    for file in files:
        try:
            sources.append(read(file))
        except NoRowsError:
            empty.append(file.name)
    if not sources:
        raise NoRowsError(f"none of the {len(files)} files in {where} has rows")
    found = stacked(sources, layout)
    if not empty:
        return found
    note = f"{len(empty)} of {len(files)} files in {where.name} have no rows, e.g. {empty[0]}"
    return replace(found, notes=(*found.notes, note))


def stacked(sources: Sequence[Source], layout: str) -> Source:
    """Put sources of one kind below each other; columns that all of them have go along."""
    first = sources[0]
    if len(sources) == 1:
        return Source(**{**vars(first), "layout": layout})
    columns = _shared([source.columns for source in sources])
    return Source(
        values=StackedValues([source.values for source in sources]),
        layout=layout,
        columns=columns,
        misfits={name: n for source in sources for name, n in source.misfits.items()},
        targets=_shared([source.targets for source in sources]),
        ids=first.ids if first.ids in columns else None,
        split=first.split if first.split in columns else None,
        labels=tuple(name for name in first.labels if name in columns),
        notes=tuple(dict.fromkeys(note for source in sources for note in source.notes)),
    )


def _shared(tables: Sequence[Mapping[str, Column]]) -> dict[str, Column]:
    """Stack the columns that all tables have."""
    return {
        name: _stacked_column([table[name] for table in tables])
        for name in tables[0]
        if all(name in table for table in tables)
    }


def _stacked_column(columns: Sequence[Column]) -> Column:
    def read() -> Any:
        parts = [column() for column in columns]
        if isinstance(parts[0], Target):
            return joined_targets(parts)
        if all(isinstance(part, np.ndarray) for part in parts):
            return np.concatenate(parts)
        return [entry for part in parts for entry in part]

    return read
