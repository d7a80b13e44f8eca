"""ForeignFeatures: features of another tool with their ids, splits and labels, ready to import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featstore.errors import InvalidInputError
from featstore.imports.column_file import is_column_file, read_column
from featstore.imports.columns import as_ids, as_splits, as_target
from featstore.imports.source import Column, Source
from featstore.imports.values import MappedValues, Values, check_floats
from featstore.samples import Target
from featstore.splits import canonical_split
from featstore.suggest import did_you_mean

#: Column names that mean ids, splits and labels in files whose format does not say.
_IDS = (
    "id",
    "ids",
    "image_path",
    "image_paths",
    "path",
    "paths",
    "filepath",
    "file_name",
    "file_names",
    "filename",
    "filenames",
    "image_id",
    "image_ids",
    "names",
    "keys",
)
_SPLIT = ("split", "splits")
_LABELS = ("label", "labels", "target", "targets", "y")


@dataclass(frozen=True, eq=False)
class ForeignFeatures:
    """Features that another tool made.

    Attributes
    ----------
    values
        The matrix, shape (n, dim).
    source
        File or folder it came from; the last part of the path, for people.
    layout
        The format that was recognised.
    ids
        Shape (n,), unicode; None where the source has none.
    splits
        Shape (n,), unicode, "" for none; None where the source has none.
    targets
        Labels by name.
    notes
        What people should know about how it was read.
    """

    values: Values
    source: str
    layout: str
    ids: NDArray[np.str_] | None = None
    splits: NDArray[np.str_] | None = None
    targets: Mapping[str, Target] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = self.values.shape[0]
        columns: dict[str, NDArray[Any] | None] = {"ids": self.ids, "splits": self.splits}
        columns |= {f"labels {name!r}": target.codes for name, target in self.targets.items()}
        for what, column in columns.items():
            if column is not None and len(column) != n:
                raise InvalidInputError(
                    f"{self.source}: {len(column)} {what} for {n} rows of features; they do not "
                    "belong together"
                )

    def __len__(self) -> int:
        return self.values.shape[0]

    @classmethod
    def from_array(
        cls,
        values: ArrayLike,
        *,
        ids: Sequence[str] | NDArray[Any] | None = None,
        splits: Sequence[str] | NDArray[Any] | None = None,
        labels: Mapping[str, Any] | None = None,
        source: str = "array",
    ) -> ForeignFeatures:
        """Take features that are in memory.

        Parameters
        ----------
        values
            Shape (n, dim), floats.
        ids, splits
            One per row.
        labels
            By name: one per row, lists of labels, or a 0/1 matrix (n, c).
        source
            Where they come from, for people.

        Examples
        --------
        >>> ids, labels = ["a.jpg", "b.jpg"], {"label": ["cat", "ant"]}
        >>> made = ForeignFeatures.from_array([[0.5, 1], [2, 3]], ids=ids, labels=labels)
        >>> len(made), made.targets["label"].classes
        (2, ('ant', 'cat'))
        """
        array = np.asarray(values)
        check_floats(array.shape, array.dtype.name, source)
        return cls(
            values=MappedValues(array),
            source=source,
            layout="array",
            ids=None if ids is None else as_ids(ids, f"ids of {source}"),
            splits=None if splits is None else as_splits(splits),
            targets={
                name: as_target(column, f"labels {name!r}")
                for name, column in (labels or {}).items()
            },
        )

    @classmethod
    def from_source(
        cls,
        source: Source,
        name: str,
        *,
        ids: str | None = None,
        split: str | None = None,
        labels: Sequence[str] = (),
    ) -> ForeignFeatures:
        """Choose ids, splits and labels among a source's columns.

        Parameters
        ----------
        source
            What a reader found.
        name
            Of the file or folder.
        ids, split
            Column names; None takes what the format says, or a column with a usual name.
        labels
            Column names, each as ``"COLUMN"`` or ``"TARGET=COLUMN"``.

        Raises
        ------
        InvalidInputError
            If there is no such column, or it holds something else.
        """
        columns = source.columns
        id_name = _column(columns, ids, source.ids, _IDS, "ids", name)
        split_name = _column(columns, split, source.split, _SPLIT, "split", name)
        targets = {}
        known = {**columns, **source.targets}
        for label in labels or _default_labels(source):
            target, column = label_name(label)
            _check_known(known, column, "labels", name)
            targets[target] = as_target(known[column](), f"column {column!r} of {name}")
        return cls(
            values=source.values,
            source=name,
            layout=source.layout,
            ids=as_ids(columns[id_name](), f"column {id_name!r} of {name}") if id_name else None,
            splits=as_splits(columns[split_name]()) if split_name else None,
            targets=targets,
            notes=source.notes,
        )

    def in_split(self, name: str) -> ForeignFeatures:
        """Return the same features, all of them in one split."""
        return replace(self, splits=np.full(len(self), canonical_split(name)))

    def with_files(
        self, *, ids: str | None, split: str | None, labels: Sequence[str]
    ) -> ForeignFeatures:
        """Return the same features with ids, splits or labels from files of their own.

        Parameters
        ----------
        ids, split
            Files, see `featstore.imports.column_file`; None leaves them as they are.
        labels
            Files, each as ``"FILE"`` or ``"TARGET=FILE"``.
        """
        targets = dict(self.targets)
        for label in labels:
            target, file = label_name(label)
            targets[target] = as_target(read_column(file), file)
        return replace(
            self,
            ids=self.ids if ids is None else as_ids(read_column(ids), ids),
            splits=self.splits if split is None else as_splits(read_column(split)),
            targets=targets,
        )


def label_name(label: str) -> tuple[str, str]:
    """Take ``[TARGET=]WHERE`` apart; without a name, a column has its own and a file ``label``.

    Examples
    --------
    >>> label_name("species"), label_name("species=y_train"), label_name("order=taxa.csv#order")
    (('species', 'species'), ('species', 'y_train'), ('order', 'taxa.csv#order'))
    """
    if is_column_file(label):
        return label.partition("#")[2] or "label", label
    target, separator, where = label.partition("=")
    return (target, where) if separator else (label, label)


def _default_labels(source: Source) -> Sequence[str]:
    if source.targets or source.labels:
        return [*source.targets] or source.labels
    return [name for name in _LABELS if name in source.columns][:1]


def _column(
    columns: Mapping[str, Column],
    asked: str | None,
    by_format: str | None,
    usual: Sequence[str],
    what: str,
    source: str,
) -> str | None:
    if asked is not None:
        _check_known(columns, asked, what, source)
        return asked
    return by_format or next((name for name in usual if name in columns), None)


def _check_known(columns: Mapping[str, Column], name: str, what: str, source: str) -> None:
    if name not in columns:
        raise InvalidInputError(
            f"{name!r} is neither a file nor a column of {source} (--{what}). "
            f"{did_you_mean(name, columns)}"
        )
