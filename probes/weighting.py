"""Weighting: how much each row counts, and each label of a row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.class_weight import compute_class_weight

from featstore.errors import InvalidInputError
from featstore.probes.inputs import Targets

ClassWeight = Literal["balanced"] | Mapping[Any, float] | None


@dataclass(frozen=True, eq=False)
class Weighting:
    """Weights of the losses in a weighted sum of losses.

    Attributes
    ----------
    total
        Sum of the rows' weights; n without any.
    rows
        Weights divided by their mean, shape (n,); None where all are equal.
    labels
        Factors of rows without and with each label, shape (2, k), where labels are problems of
        their own; None where all are 1.
    """

    total: float
    rows: NDArray[np.float64] | None = None
    labels: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        targets: Targets,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: ClassWeight = None,
        one_vs_rest: bool = False,
    ) -> Weighting:
        """Join weights of rows and of classes, with scikit-learn's meaning.

        Parameters
        ----------
        targets
            Labels of the rows.
        sample_weight
            Shape (n,), not negative; a number weighs all rows.
        class_weight
            ``{class: weight}``, 1 for a class that is not in it, or ``"balanced"``: the sum of
            the rows' weights divided by the number of classes and the class's share of that sum.
            Of an indicator, and of one class against the rest, ``"balanced"`` looks at every
            label by itself; the classes of an indicator's labels are 0 and 1.
        one_vs_rest
            Whether the classes of a single-label problem are told from the rest one by one.

        Raises
        ------
        InvalidInputError
            If weights are negative, not finite, all zero, or of classes that there are not.

        Examples
        --------
        >>> targets = Targets.of(["owl", "jay", "owl", "owl"], n_samples=4)
        >>> weighting = Weighting.of(targets, class_weight={"jay": 5})
        >>> weighting.total, weighting.rows
        (8.0, array([0.5, 2.5, 0.5, 0.5]))
        """
        n = len(targets.labels)
        rows = None if sample_weight is None else _checked(sample_weight, n)
        labels = None
        if isinstance(class_weight, str) and class_weight != "balanced":
            raise InvalidInputError(
                f"class_weight must be None, 'balanced' or a dict, got {class_weight!r}"
            )
        if class_weight is not None and targets.multilabel:
            labels = _label_factors(targets, rows, class_weight)
        elif class_weight == "balanced" and one_vs_rest and len(targets.classes) > 2:
            labels = _balanced_labels(_counts(targets, rows), n if rows is None else rows.sum())
        elif class_weight is not None:
            factors = _class_factors(targets, rows, class_weight)[targets.labels]
            rows = factors if rows is None else rows * factors
        if rows is None:
            return cls(float(n), None, labels)
        total = float(rows.sum())
        if not 0 < total < math.inf:
            raise InvalidInputError(
                f"the weights of the rows add up to {total:g}: some must be positive, all finite"
            )
        return cls(total, rows * (n / total), labels)


def _checked(sample_weight: ArrayLike, n: int) -> NDArray[np.float64]:
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(n, float(weights))
    if weights.shape != (n,):
        raise InvalidInputError(
            f"sample_weight must have shape ({n},), one weight per row of X, got {weights.shape}"
        )
    bad = np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))
    if len(bad):
        raise InvalidInputError(
            f"{len(bad)} weights are negative or not finite, such as {weights[bad[0]]:g} of row "
            f"{bad[0]}"
        )
    if not weights.any():
        raise InvalidInputError(
            f"all {n} values of sample_weight are zero: there is no row to fit to"
        )
    return weights


def _counts(targets: Targets, rows: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Sum of the weights of each class's or label's rows, shape (c,)."""
    if targets.multilabel:
        weights = np.ones(len(targets.labels)) if rows is None else rows
        return np.asarray(weights @ targets.labels, dtype=np.float64)
    return np.bincount(targets.labels, rows, len(targets.classes)).astype(np.float64)


def _class_factors(
    targets: Targets, rows: NDArray[np.float64] | None, class_weight: ClassWeight
) -> NDArray[np.float64]:
    if class_weight == "balanced":
        counts = _counts(targets, rows)
        # A class of zero weight is as good as absent.
        seen = counts > 0
        return np.where(seen, counts.sum() / (seen.sum() * np.where(seen, counts, 1.0)), 1.0)
    try:
        factors = compute_class_weight(class_weight, classes=targets.classes, y=targets.classes)
    except ValueError as error:
        raise InvalidInputError(str(error)) from error
    return _not_negative(np.asarray(factors, dtype=np.float64))


def _label_factors(
    targets: Targets, rows: NDArray[np.float64] | None, class_weight: ClassWeight
) -> NDArray[np.float64]:
    if isinstance(class_weight, Mapping):
        if not set(class_weight) <= {0, 1}:
            raise InvalidInputError(
                "the classes of an indicator's labels are 0 and 1; class_weight has the keys "
                f"{sorted(class_weight, key=str)}"
            )
        factors = np.asarray([[class_weight.get(0, 1.0)], [class_weight.get(1, 1.0)]], np.float64)
        return _not_negative(np.tile(factors, len(targets.classes)))
    total = len(targets.labels) if rows is None else rows.sum()
    return _balanced_labels(_counts(targets, rows), total)


def _balanced_labels(present: NDArray[np.float64], total: float) -> NDArray[np.float64]:
    sides = np.stack([total - present, present])
    return np.where(sides > 0, total / (2 * np.where(sides > 0, sides, 1.0)), 1.0)


def _not_negative(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    if not ((factors >= 0) & np.isfinite(factors)).all():
        raise InvalidInputError(f"class weights must be finite and not negative, got {factors}")
    return factors
