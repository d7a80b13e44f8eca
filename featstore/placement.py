"""Placement: which row of foreign features goes to which sample, and what has no counterpart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.holdout import HoldOut
from featstore.imports.foreign import ForeignFeatures
from featstore.imports.matching import Matching, common_root, examples, match, repeats
from featstore.samples import Samples, Target

Duplicates = Literal["error", "identical", "first"]
#: Rows with the same id are compared this many at a time.
_COMPARED_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Placement:
    """Rows of a file in the order of samples.

    Attributes
    ----------
    samples
        The store's, or those that a new store gets.
    rows
        Row of the file for each sample, shape (n_samples,); -1 where the file has none.
    unmatched
        How many rows of the file belong to no sample.
    by_position
        Whether row i was taken for sample i, for want of ids.
    notes
        What people should know.
    """

    samples: Samples
    rows: NDArray[np.intp]
    unmatched: int = 0
    by_position: bool = False
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> NDArray[np.intp]:
        """Samples that the file lacks."""
        return np.flatnonzero(self.rows < 0)


def rooted(foreign: ForeignFeatures, root: str | None) -> ForeignFeatures:
    """Take a leading folder off a file's ids; None leaves them."""
    if root is None or foreign.ids is None:
        return foreign
    prefix = root.rstrip("/") + "/"
    outside = [name for name in foreign.ids.tolist() if not name.startswith(prefix)]
    if outside:
        raise InvalidInputError(
            f"{len(outside)} of {len(foreign)} ids do not begin with {prefix}, {examples(outside)}"
        )
    return replace(
        foreign, ids=np.asarray([name.removeprefix(prefix) for name in foreign.ids.tolist()], str)
    )


def without_repeats(foreign: ForeignFeatures, duplicates: Duplicates) -> NDArray[np.intp]:
    """Return the rows that are left, without those whose id came before.

    Raises
    ------
    InvalidInputError
        If there are repeated ids, and they are not allowed or their values differ.
    """
    if duplicates not in get_args(Duplicates):
        raise InvalidInputError(
            f"duplicates={duplicates!r} is not one of {', '.join(get_args(Duplicates))}"
        )
    everything = np.arange(len(foreign))
    if foreign.ids is None:
        return everything
    later, first = repeats(foreign.ids)
    if len(later) and duplicates == "error":
        names = list(dict.fromkeys(foreign.ids[later].tolist()))
        raise InvalidInputError(
            f"{foreign.source}: {len(later)} rows repeat an id that came before, "
            f"{examples(names)}; allow that with --duplicates identical (if their values are "
            "equal) or --duplicates first"
        )
    if duplicates == "identical":
        different = _different(foreign, later, first)
        if different:
            raise InvalidInputError(
                f"{foreign.source}: {len(different)} rows repeat an id with other values, "
                f"{examples(different)}; keep the first of each with --duplicates first"
            )
    return np.setdiff1d(everything, later, assume_unique=True)


def new_samples(
    foreign: ForeignFeatures, kept: NDArray[np.intp], hold_out: HoldOut | None
) -> Placement:
    """Make samples of a file's rows.

    Parameters
    ----------
    foreign
        The file.
    kept
        Rows that become samples.
    hold_out
        Draws a test split where there are labels and no splits.
    """
    splits = np.full(len(foreign), "") if foreign.splits is None else foreign.splits
    notes = []
    if foreign.ids is None:
        ids = _numbered(splits)
        notes.append(f"{foreign.source} has no ids; its rows are called {str(ids[0])!r} and so on")
    else:
        ids = foreign.ids
    targets = {
        name: Target(target.kind, target.classes, target.codes[kept])
        for name, target in foreign.targets.items()
    }
    samples = Samples(ids[kept], splits[kept], targets)
    if targets and not samples.split_names and hold_out is not None:
        samples = hold_out.draw(samples)
        notes.append(f"test split: {hold_out}")
    return Placement(samples, kept, notes=tuple(notes))


def matched_samples(
    foreign: ForeignFeatures,
    samples: Samples,
    store: str,
    *,
    allow_missing: bool,
    allow_unmatched: bool,
) -> Placement:
    """Find the samples of a store in a file by id.

    Raises
    ------
    InvalidInputError
        If ids of one are not in the other, unless that is allowed.
    """
    if foreign.ids is None:
        raise InvalidInputError(f"{foreign.source} has no ids to match")
    found = match(foreign.ids, samples.ids)
    unmatched = foreign.ids[found.unmatched]
    problems = []
    if len(unmatched) and not allow_unmatched:
        problems.append(
            f"{len(unmatched)} of its {len(foreign)} ids are not in the store, "
            f"{examples(unmatched.tolist())} (--allow-unmatched leaves them out)"
        )
    if len(found.missing) and not allow_missing:
        problems.append(
            f"{len(found.missing)} of the store's {len(samples)} samples are not in the file, "
            f"{examples(samples.ids[found.missing].tolist())} (--allow-missing excludes them)"
        )
    if problems or not (found.rows >= 0).any():
        raise InvalidInputError(
            f"{foreign.source} and {store} do not hold the same samples: "
            f"{'; '.join(problems) or 'not one id is in both'}.{_advice(found, foreign, samples)}"
        )
    return Placement(samples, found.rows, unmatched=len(unmatched), notes=_unused(foreign, samples))


def positions(foreign: ForeignFeatures, samples: Samples, store: str) -> Placement:
    """Take row i of a file for sample i of a store.

    Raises
    ------
    InvalidInputError
        If the numbers of rows differ, or ids or labels say that the order is another one.
    """
    n = len(samples)
    if len(foreign) != n:
        raise InvalidInputError(
            f"{foreign.source} has {len(foreign)} rows and {store} {n} samples: rows can be "
            "matched by position only if there is one for each sample; give ids (--ids)"
        )
    everything = np.arange(n)
    if foreign.ids is not None:
        rows = match(foreign.ids, samples.ids).rows
        if ((rows >= 0) & (rows != everything)).any():
            raise InvalidInputError(
                f"{foreign.source} has the ids of {store} in another order; leave --by-position out"
            )
    for name, target in foreign.targets.items():
        known = samples.targets.get(name)
        if known is not None and known.kind == target.kind and known.classes == target.classes:
            other = np.flatnonzero((known.codes != target.codes).reshape(n, -1).any(axis=1))
            if len(other):
                raise InvalidInputError(
                    f"{foreign.source} has other labels {name!r} than {store} in {len(other)} of "
                    f"{n} rows, the first in row {other[0]}: its rows are in another order"
                )
    return Placement(samples, everything, by_position=True, notes=_unused(foreign, samples))


def _unused(foreign: ForeignFeatures, samples: Samples) -> tuple[str, ...]:
    new = [name for name in foreign.targets if name not in samples.targets]
    if not new:
        return ()
    return (f"labels {', '.join(new)} are not added: an existing store keeps the labels it has",)


def _different(
    foreign: ForeignFeatures, later: NDArray[np.intp], first: NDArray[np.intp]
) -> list[str]:
    """Ids that are repeated with other values."""
    found = []
    for start in range(0, len(later), _COMPARED_ROWS):
        pair = [_gathered(foreign, side[start : start + _COMPARED_ROWS]) for side in (later, first)]
        equal = (pair[0] == pair[1]) | (np.isnan(pair[0]) & np.isnan(pair[1]))
        found += later[start + np.flatnonzero(~equal.all(axis=1))].tolist()
    return [] if foreign.ids is None else list(dict.fromkeys(foreign.ids[found].tolist()))


def _gathered(foreign: ForeignFeatures, rows: NDArray[np.intp]) -> NDArray[Any]:
    unique, inverse = np.unique(rows, return_inverse=True)
    return foreign.values.take(unique)[inverse]


def _numbered(splits: NDArray[np.str_]) -> NDArray[np.str_]:
    """Names for rows without one: their split and their number in it."""
    count: dict[str, int] = {}
    names = []
    for split in splits.tolist():
        number = count.get(split, 0)
        count[split] = number + 1
        names.append(f"{split}/{number}" if split else str(number))
    return np.asarray(names, str)


def _advice(found: Matching, foreign: ForeignFeatures, samples: Samples) -> str:
    if foreign.ids is None or not len(found.unmatched):
        return ""
    root = common_root(foreign.ids[found.unmatched], samples.ids)
    return f" Without the folder {root!r} they would match: --root {root}" if root else ""
