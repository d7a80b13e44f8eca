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

#: Names of ids that are never meant for anything else.
_SURELY_IDS = ("id", "ids", "image_path", "image_paths", "file_names", "filenames", "image_ids")
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
        with_ids: bool = True,
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
        with_ids
            Whether ids are wanted; without, they come from elsewhere.

        Raises
        ------
        InvalidInputError
            If there is no such column, it holds something else, or there are ids for another
            number of rows.
        """
        columns = source.columns
        id_name = _column(source, ids, source.ids, _IDS, "ids", name) if with_ids else None
        misfit = next((known for known in _SURELY_IDS if known in source.misfits), None)
        if misfit and with_ids and id_name is None:
            raise InvalidInputError(
                f"{name}: {misfit!r} has {source.misfits[misfit]} entries for "
                f"{source.values.shape[0]} rows of features; they do not belong together (name "
                "other ids: --ids FILE or COLUMN)"
            )
        split_name = _column(source, split, source.split, _SPLIT, "split", name)
        given = labels or _default_labels(source)
        notes = [*source.notes]
        for kind, usual, found in (("splits", _SPLIT, split_name), ("labels", _LABELS, given)):
            left_out = [known for known in usual if known in source.misfits and not found]
            notes += [
                f"{known!r} in {name} has {source.misfits[known]} entries for "
                f"{source.values.shape[0]} rows: there are no {kind}"
                for known in left_out
            ]
        targets = {}
        known = {**columns, **source.targets}
        for label in given:
            target, column = label_name(label)
            _check_known(known, source.misfits, column, "labels", name)
            targets[target] = as_target(known[column](), f"column {column!r} of {name}")
        return cls(
            values=source.values,
            source=name,
            layout=source.layout,
            ids=as_ids(columns[id_name](), f"column {id_name!r} of {name}") if id_name else None,
            splits=as_splits(columns[split_name]()) if split_name else None,
            targets=targets,
            notes=tuple(notes),
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
    source: Source,
    asked: str | None,
    by_format: str | None,
    usual: Sequence[str],
    what: str,
    where: str,
) -> str | None:
    if asked is not None:
        _check_known(source.columns, source.misfits, asked, what, where)
        return asked
    return by_format or next((name for name in usual if name in source.columns), None)


def _check_known(
    columns: Mapping[str, Column], misfits: Mapping[str, int], name: str, what: str, source: str
) -> None:
    if name in misfits:
        raise InvalidInputError(
            f"{name!r} in {source} has {misfits[name]} entries, which is not one per row (--{what})"
        )
    if name not in columns:
        raise InvalidInputError(
            f"{name!r} is neither a file nor a column of {source} (--{what}). "
            f"{did_you_mean(name, columns)}"
        )
