"""Subset scores: one estimator fitted on many small parts of one feature matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featstore.estimator import Estimator


@dataclass(frozen=True, eq=False)
class SubsetScores:
    """What a probe fitted on one subset of the rows says about queries.

    Attributes
    ----------
    subset
        Number of the subset.
    value
        The hyper-parameter it was fitted with; NaN where the estimator took its own.
    classes
        Of the subset's rows, sorted, shape (c,).
    scores
        Shape (m, c); they order the classes as the estimator's probabilities do.
    converged
        Whether an iterative solver reached its tolerance; always, without one.
    """

    subset: int
    value: float
    classes: NDArray[Any]
    scores: NDArray[np.floating]
    converged: bool = True


class SubsetEstimator(Estimator, Protocol):
    """An estimator that solves many small problems together."""

    def score_subsets(
        self,
        X: Any,
        y: NDArray[Any],
        subsets: Sequence[NDArray[np.intp]],
        queries: Any,
        values: Sequence[float],
        *,
        asked: Sequence[NDArray[np.intp]] | None = None,
    ) -> Iterator[SubsetScores]:
        """Do what `score_subsets` does, in any order of subsets and values."""
        ...


def score_subsets(
    estimator: Estimator,
    X: NDArray[np.floating],
    y: NDArray[Any],
    subsets: Sequence[NDArray[np.intp]],
    queries: Any,
    values: Sequence[float] = (),
    *,
    asked: Sequence[NDArray[np.intp]] | None = None,
) -> Iterator[SubsetScores]:
    """Fit on every subset with every value, and score queries.

    An estimator with a method of this name shares the work between the subsets; any other is
    fitted to one after the other.

    Parameters
    ----------
    estimator
        Not fitted; its parameters stay as they are, but for the one that takes the values.
    X, y
        Features (n, d) and class labels (n,).
    subsets
        Rows of X to fit on.
    queries
        Rows (m, d) to score: an array, or anything that the estimator takes.
    values
        Of the hyper-parameter; without any the estimator settles on one by itself.
    asked
        For each subset the rows of `queries` that it is asked about, all by default; `queries` is
        an array then.

    Yields
    ------
    scores
        In any order.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from featstore.registry import probe
    >>> X, y = load_digits(return_X_y=True)
    >>> found = score_subsets(probe("knn")(), X, y, [np.arange(50), np.arange(90)], X[:9], [1, 3])
    >>> [(one.subset, one.value, one.scores.shape) for one in found]
    [(0, 1.0, (9, 10)), (0, 3.0, (9, 10)), (1, 1.0, (9, 10)), (1, 3.0, (9, 10))]
    """
    together = getattr(estimator, "score_subsets", None)
    fit = partial(score_one_by_one, estimator) if together is None else together
    yield from fit(X, y, subsets, queries, values, asked=asked)


def score_one_by_one(
    estimator: Estimator,
    X: NDArray[np.floating],
    y: NDArray[Any],
    subsets: Sequence[NDArray[np.intp]],
    queries: Any,
    values: Sequence[float] = (),
    *,
    asked: Sequence[NDArray[np.intp]] | None = None,
) -> Iterator[SubsetScores]:
    """Fit on one subset after the other; see `score_subsets`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from featstore.registry import probe
    >>> X, y = load_digits(return_X_y=True)
    >>> found = score_one_by_one(probe("lda")(0.5), X, y, [np.arange(50)], X[:9])
    >>> [one.scores.shape for one in found]
    [(9, 10)]
    """
    for i, rows in enumerate(subsets):
        wanted = queries if asked is None else queries[asked[i]]
        if not len(values):
            estimator.fit(X[rows], y[rows])
            scores = estimator.predict_proba(wanted)
            converged = _converged(estimator)
            yield SubsetScores(i, float("nan"), estimator.classes_, scores, converged)
            continue
        for value, scores in estimator.sweep(X[rows], y[rows], wanted, values):
            converged = _converged(estimator)
            yield SubsetScores(i, float(value), estimator.classes_, scores, converged)


def _converged(estimator: Estimator) -> bool:
    """Say what the certificate of a fitted estimator says; closed forms have nothing to say."""
    return bool(getattr(getattr(estimator, "certificate_", None), "converged", True))
