"""concatenate: the row tables of several stores become one, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import CorruptStoreError, FeatureNotFoundError, InvalidInputError
from featstore.samples import UNLABELLED, Samples, Target
from featstore.suggest import did_you_mean

_EXAMPLES = 3


@dataclass(frozen=True)
class Concatenation:
    """Row tables, one after the other.

    Attributes
    ----------
    samples
        All rows.
    notes
        What could not be kept of some tables.
    """

    samples: Samples
    notes: tuple[str, ...]


def concatenate(
    tables: Mapping[str, Samples],
    *,
    prefixes: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
) -> Concatenation:
    """Put row tables one after the other.

    Parameters
    ----------
    tables
        By the name that messages give them.
    prefixes
        One for each table, to be put in front of its ids with a slash; None leaves ids as they are.
    targets
        Label columns to keep; None keeps all.  A column that a table lacks is unlabelled there.
        With several labels per sample that would read as "no class applies", so such a column has
        to be asked for by name.

    Raises
    ------
    InvalidInputError
        If ids occur in several tables, a target is single-label here and multi-label there, or
        one with several labels is missing somewhere.
    FeatureNotFoundError
        If no table has one of `targets`.

    Examples
    --------
    >>> def table(*ids):
    ...     return Samples(np.array(ids), np.array(["train"] * len(ids)))
    >>> both = concatenate({"A": table("1", "2"), "B": table("1")}, prefixes=["a", "b"])
    >>> both.samples.ids.tolist()
    ['a/1', 'a/2', 'b/1']
    """
    parts = list(tables.values())
    ids = [samples.ids for samples in parts]
    if prefixes is not None:
        ids = [
            np.asarray([f"{prefix}/{name}" for name in names.tolist()], str)
            for prefix, names in zip(prefixes, ids, strict=True)
        ]
    _refuse_repeats(list(tables), ids)
    notes = []
    marks = [samples.marks for samples in parts if samples.marks is not None]
    if marks and len(marks) < len(parts):
        unmarked = [place for place, samples in tables.items() if samples.marks is None]
        notes.append(f"file sizes are dropped: {', '.join(unmarked)} has none")
    weights = [samples.weights for samples in parts if samples.weights is not None]
    if weights and len(weights) < len(parts):
        unweighted = [place for place, samples in tables.items() if samples.weights is None]
        notes.append(f"weights are dropped: {', '.join(unweighted)} has none")
    columns = {}
    for name in _chosen(parts, targets):
        missing = [place for place, samples in tables.items() if name not in samples.targets]
        columns[name] = _column(name, tables, forced=targets is not None)
        if missing:
            meaning = "unlabelled" if columns[name].kind == "single" else "of no class"
            notes.append(f"target {name!r}: the rows of {', '.join(missing)} are {meaning}")
    samples = Samples(
        ids=np.concatenate(ids),
        splits=np.concatenate([samples.splits for samples in parts]),
        targets=columns,
        marks=np.concatenate(marks) if len(marks) == len(parts) else None,
        weights=np.concatenate(weights) if len(weights) == len(parts) else None,
    )
    return Concatenation(samples, tuple(notes))


def _refuse_repeats(places: Sequence[str], ids: Sequence[NDArray[np.str_]]) -> None:
    seen: dict[str, int] = {}
    repeated: dict[str, tuple[int, int]] = {}
    for i, names in enumerate(ids):
        for name in names.tolist():
            if seen.setdefault(name, i) != i:
                repeated.setdefault(name, (seen[name], i))
    if repeated:
        examples = "; ".join(
            f"{name!r} in {places[a]} and {places[b]}"
            for name, (a, b) in list(repeated.items())[:_EXAMPLES]
        )
        raise InvalidInputError(
            f"{len(repeated)} ids occur in more than one store, e.g. {examples}; ids must be "
            "unique: put the stores' names in front (--prefix), or merge stores of other images"
        )


def _chosen(parts: Sequence[Samples], targets: Sequence[str] | None) -> list[str]:
    known = dict.fromkeys(name for samples in parts for name in samples.targets)
    for name in targets or ():
        if name not in known:
            raise FeatureNotFoundError(
                f"no store has a target {name!r}. {did_you_mean(name, known)}"
            )
    return list(dict.fromkeys(known if targets is None else targets))


def _column(name: str, tables: Mapping[str, Samples], *, forced: bool) -> Target:
    """Concatenate one label column."""
    found = {
        place: samples.targets[name] for place, samples in tables.items() if name in samples.targets
    }
    kinds = {target.kind: place for place, target in found.items()}
    if len(kinds) > 1:
        raise InvalidInputError(
            f"target {name!r} has one class per sample in {kinds['single']} and several in "
            f"{kinds['multi']}; leave it out: choose others with --targets"
        )
    multi = "multi" in kinds
    missing = [place for place in tables if place not in found]
    if multi and missing and not forced:
        raise InvalidInputError(
            f"{', '.join(missing)} has no target {name!r}, and where several labels are possible a "
            "row without any reads as 'no class applies'; name the targets to merge with --targets:"
            f" without {name!r} to leave it out, with it to take that meaning"
        )
    orders = dict.fromkeys(target.classes for target in found.values())
    # Equal lists keep their order: it may mean something.
    classes = (
        next(iter(orders))
        if len(orders) == 1
        else tuple(sorted({c for order in orders for c in order}))
    )
    shape = (sum(map(len, tables.values())), *([len(classes)] if multi else []))
    codes = np.zeros(shape, bool) if multi else np.full(shape, UNLABELLED, np.int32)
    edges = np.cumsum([0, *map(len, tables.values())]).tolist()
    place_of = {label: i for i, label in enumerate(classes)}
    for place, (start, stop) in zip(tables, pairwise(edges), strict=True):
        if place in found:
            target = found[place]
            column = np.asarray([place_of[label] for label in target.classes], np.int32)
            if multi:
                codes[start:stop, column] = target.codes
            else:
                codes[start:stop] = _recoded(target.codes, column, place, name)
    return Target("multi" if multi else "single", classes, codes)


def _recoded(
    codes: NDArray[Any], column: NDArray[np.int32], place: str, name: str
) -> NDArray[np.int32]:
    """Return each code's place in the union of classes, shape (n,)."""
    if len(codes) and not UNLABELLED <= codes.min() <= codes.max() < len(column):
        raise CorruptStoreError(
            f"{place}: target {name!r} has codes from {codes.min()} to {codes.max()} for "
            f"{len(column)} classes; restore the store from a copy"
        )
    # The code of unlabelled samples, -1, takes the last entry.
    return np.take(np.append(column, np.int32(UNLABELLED)), codes)
