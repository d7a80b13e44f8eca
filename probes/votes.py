"""Votes: what the neighbours of a query say about its classes."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Weights = Literal["softmax", "uniform", "distance"]


def softmax_votes(similarities: NDArray[np.floating], *, temperature: float) -> NDArray[np.float64]:
    """Votes exp(similarity / temperature), up to a factor per row (Wu et al. 2018, eq. 14).

    Parameters
    ----------
    similarities
        Shape (n, k), in descending order.

    Examples
    --------
    >>> softmax_votes(np.array([[1.0, 0.5]]), temperature=0.5).round(4)
    array([[1.    , 0.3679]])
    """
    # Less the largest, so that no exponential overflows; the shares stay the same.
    excess = similarities.astype(np.float64) - similarities[:, :1]
    return np.exp(excess / temperature)


def distance_votes(similarities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Votes 1 / distance; neighbours at distance 0, if there are any, vote alone.

    As `sklearn.neighbors.KNeighborsClassifier` has it with ``weights="distance"``.

    Parameters
    ----------
    similarities
        Minus the distances, shape (n, k), in descending order.

    Examples
    --------
    >>> distance_votes(np.array([[-0.5, -2.0], [0.0, -1.0]]))
    array([[2. , 0.5],
           [1. , 0. ]])
    """
    distances = -similarities.astype(np.float64)
    copies = distances == 0
    votes = np.where(copies, 1.0, 0.0)
    others = ~copies.any(axis=1)
    votes[others] = 1 / distances[others]
    return votes


def weigh(
    similarities: NDArray[np.floating], weights: Weights, *, temperature: float
) -> NDArray[np.float64]:
    """Votes of neighbours, shape (n, k), from their similarities in descending order."""
    if weights == "softmax":
        return softmax_votes(similarities, temperature=temperature)
    if weights == "distance":
        return distance_votes(similarities)
    return np.ones(similarities.shape)


def shares(
    votes: NDArray[np.float64],
    neighbours: NDArray[np.int64],
    labels: NDArray[np.int64] | NDArray[np.bool_],
    *,
    n_classes: int,
) -> NDArray[np.float64]:
    """Share of each query's votes that goes to each class, shape (n, c).

    Parameters
    ----------
    votes
        Weight of each neighbour, shape (n, k).
    neighbours
        Training rows, shape (n, k).
    labels
        Of the training rows: codes (n_train,), or an indicator (n_train, c), where a neighbour
        gives its vote to each class that it has.

    Examples
    --------
    >>> shares(np.ones((1, 4)), np.array([[0, 1, 2, 3]]), np.array([0, 1, 1, 1]), n_classes=2)
    array([[0.25, 0.75]])
    """
    n, k = votes.shape
    proba = np.zeros((n, n_classes))
    if labels.ndim == 1:
        cells = np.arange(n)[:, None] * n_classes + labels[neighbours]  # (n, k)
        proba.ravel()[:] = np.bincount(cells.ravel(), votes.ravel(), minlength=n * n_classes)
    else:
        for j in range(k):  # one by one: (n, k, c) may not fit in memory
            proba += votes[:, j, None] * labels[neighbours[:, j]]
    # Divided last: counts of uniform votes stay exact, and so do their ties.
    proba /= votes.sum(axis=1, keepdims=True)
    return proba
