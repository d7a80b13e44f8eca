"""shift: whether two splits of a store, or of two stores, are alike in features and labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.label_shift import LabelShift, label_shift
from featstore.analysis.shift import shift as shift_of_rows
from featstore.displayed import Displayed
from featstore.errors import InvalidInputError
from featstore.samples import Target
from featstore.spec import FeatureSpec
from featstore.store import FeatureStore


@dataclass(frozen=True, eq=False, repr=False)
class Shift(Displayed):
    """How two sets of rows differ.

    Attributes
    ----------
    a, b
        What was compared, in words.
    n_a, n_b
        Rows with readable images.
    measures
        Of the features, see `featstore.analysis.shift`.
    labels
        Of the labels; None where there are none in both.
    """

    a: str
    b: str
    n_a: int
    n_b: int
    measures: pd.DataFrame
    labels: LabelShift | None


def shift(
    store: FeatureStore | str | Path,
    features: str | Sequence[str],
    *,
    a: str | None = "train",
    b: str | None = "test",
    other: FeatureStore | str | Path | None = None,
    target: str | None = None,
    n_rows: int = 5000,
    C: float = 0.01,
    n_permutations: int = 200,
    seed: int = 0,
    device: str = "cpu",
) -> Shift:
    """Measure the shift between two splits.

    Parameters
    ----------
    store
        The store, or its path.
    features
        One feature, or several that are fused.
    a, b
        Splits; None for all rows.
    other
        Another store that has the same features, whose split `b` is; the same store by default.
    target
        Label column; the first by default, if there is one.
    n_rows, C, n_permutations, seed, device
        See `featstore.analysis.shift`.

    Returns
    -------
    shift
        Of features and labels.

    Raises
    ------
    FeatureNotFoundError, NotSealedError
        If a feature, target or split is not there or not finished.
    InvalidInputError
        If both sets are the same rows, or the stores' features are different ones.
    """
    first = store if isinstance(store, FeatureStore) else FeatureStore.open(store)
    second = first
    if other is not None:
        second = other if isinstance(other, FeatureStore) else FeatureStore.open(other)
    if second.location == first.location and (a == b or a is None or b is None):
        raise InvalidInputError(
            f"{a or 'all rows'} and {b or 'all rows'} of one store share rows; choose two splits, "
            "or another store"
        )
    X, Y = first.view(features, split=a), second.view(features, split=b)
    for mine, theirs in zip(X.blocks, Y.blocks, strict=True):
        if _identity(mine.spec) != _identity(theirs.spec):
            raise InvalidInputError(
                f"{mine.name!r} is not the same feature in both stores: it is of "
                f"{mine.spec.backbone.source} and {theirs.spec.backbone.source}, or the pixels "
                "were prepared in different ways (featstore info --feature shows how)"
            )
    frame = shift_of_rows(
        X,
        Y,
        n_rows=n_rows,
        C=C,
        n_permutations=n_permutations,
        seed=seed,
        device=device,
    )
    labels = None
    if target is not None or (first.samples.targets and second.samples.targets):
        labels = _labels(first.target(target)[1], X.rows, second.target(target)[1], Y.rows)
    place = "" if other is None else f" of {second.location}"
    return Shift(
        a=a or "all rows",
        b=f"{b or 'all rows'}{place}",
        n_a=len(X),
        n_b=len(Y),
        measures=frame,
        labels=labels,
    )


def _identity(spec: FeatureSpec) -> str:
    """Digest of how a feature was computed, whatever the rows and the precision."""
    same = dataclasses.replace(
        spec, samples_digest="", dtype="float32", numerics=None, backend=None
    )
    return same.digest


def _labels(
    a: Target, rows_a: NDArray[np.intp], b: Target, rows_b: NDArray[np.intp]
) -> LabelShift | None:
    """Label shift of the labelled rows; classes are matched by name."""
    if a.kind != b.kind:
        raise InvalidInputError(
            "the target has one label per row in one store and several in the other; leave it out, "
            "or choose another --target"
        )
    classes = tuple(dict.fromkeys([*a.classes, *b.classes]))
    codes = [
        _recoded(target, rows[target.labelled[rows]], classes)
        for target, rows in ((a, rows_a), (b, rows_b))
    ]
    return label_shift(codes[0], codes[1], classes) if min(map(len, codes)) else None


def _recoded(
    target: Target, rows: NDArray[np.intp], classes: tuple[str, ...]
) -> NDArray[np.intp] | NDArray[np.bool_]:
    place = {name: code for code, name in enumerate(classes)}
    columns = np.array([place[name] for name in target.classes], np.intp)
    if target.kind == "single":
        return np.asarray(columns[target.codes[rows]])
    indicator = np.zeros((len(rows), len(classes)), bool)
    indicator[:, columns] = target.codes[rows]
    return indicator
