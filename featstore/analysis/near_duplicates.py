"""Near-duplicates: rows of two sets, or of one, that features can hardly tell apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore import registry
from featstore.analysis.block_moments import as_source
from featstore.analysis.duplicate_threshold import USUAL, suggested_threshold
from featstore.analysis.mutual_neighbours import sample_rows
from featstore.errors import InvalidInputError

_NEIGHBOURS = 20
#: Rows of X that tell how near its rows are to each other.
_SAMPLE = 4096


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """Pairs of rows, and how near nearest neighbours are in general.

    Attributes
    ----------
    queries, rows, similarities
        Shape (p,): row of Y, row of X, and their cosine, the nearest pair first.
    nearest
        Cosine of each query to its nearest row of X, shape (m,).
    within
        Cosine of rows of X, or of a sample of them, to their nearest other row, shape (s,).
    threshold
        From which on pairs are listed.
    suggested
        See `suggested_threshold`.
    capped
        Queries all of whose neighbours looked at reach the threshold: they may have more.
    """

    queries: NDArray[np.intp]
    rows: NDArray[np.intp]
    similarities: NDArray[np.float32]
    nearest: NDArray[np.float32]
    within: NDArray[np.float32]
    threshold: float
    suggested: float
    capped: int


def near_duplicates(
    X: Any,
    Y: Any | None = None,
    *,
    threshold: float | None = None,
    k: int = _NEIGHBOURS,
    device: str = "cpu",
    max_memory: int | str | None = None,
) -> NearDuplicates:
    """Find the rows of Y that are nearly rows of X, or the rows of X that are nearly each other.

    An exact search by cosine in tiles: memory holds X once in float32, or not at all below
    `max_memory`, and `k` neighbours of every row.

    Parameters
    ----------
    X
        Shape (n, d): a view, an array or a tensor, e.g. of training rows.
    Y
        Shape (m, d), e.g. test rows; None to look for pairs within X.
    threshold
        Least cosine of a pair; by default the `suggested_threshold`, or 0.95 if there is none.
    k
        Neighbours looked at per row: more pairs of one row are not listed.
    device, max_memory
        Of the search, see `featstore.probes.KNNProbe`.

    Returns
    -------
    found
        Pairs within X are listed once.

    Raises
    ------
    InvalidInputError
        If the threshold is not in (0, 1], values are missing or infinite, columns do not match,
        or X has fewer than two rows.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 8))
    >>> found = near_duplicates(X, X[:2] + 0.01, threshold=0.99)
    >>> sorted(zip(found.queries.tolist(), found.rows.tolist()))
    [(0, 0), (1, 1)]
    """
    if threshold is not None and not 0 < threshold <= 1:
        raise InvalidInputError(f"the threshold is a cosine in (0, 1], got {threshold:g}")
    X = as_source(X)
    n = X.shape[0]
    if n < 2 or k < 1:
        raise InvalidInputError(
            f"neighbours are looked for among 2 rows or more, at least 1 for each; got {n} and "
            f"k = {k}"
        )
    # The search takes labels, as every probe; it does not look at them.
    k = min(k, n - 1 if Y is None else n)
    probe = registry.probe("knn")(k=k, device=device, max_memory=max_memory)
    probe.fit(X, np.zeros(n, np.int64))
    if Y is None:
        neighbours, similarities = probe.kneighbors()
        within = similarities[:, 0]
    else:
        neighbours, similarities = probe.kneighbors(as_source(Y))
        within = _within(probe, X)
    suggested = suggested_threshold(within, n_queries=len(similarities))
    if threshold is None:
        threshold = USUAL if math.isnan(suggested) else suggested
    near = similarities >= threshold
    queries, places = np.nonzero(near)
    rows = neighbours[queries, places].astype(np.intp)
    cosines = similarities[queries, places]
    if Y is None:
        queries, rows, cosines = _once(queries, rows, cosines)
    order = np.lexsort((rows, queries, -cosines))
    complete = similarities.shape[1] == (n if Y is not None else n - 1)
    return NearDuplicates(
        queries=queries[order],
        rows=rows[order],
        similarities=np.minimum(cosines[order], np.float32(1)),
        nearest=similarities[:, 0],
        within=within,
        threshold=threshold,
        suggested=suggested,
        capped=0 if complete else int(near.all(axis=1).sum()),
    )


def _within(probe: Any, X: Any) -> NDArray[np.float32]:
    """Similarity of a sample of the training rows to their nearest others."""
    rows = sample_rows(X.shape[0], _SAMPLE, seed=0)
    taken = X[rows] if isinstance(X, np.ndarray) else X.take(rows)
    neighbours, similarities = probe.kneighbors(taken, 2)
    others: NDArray[np.float32] = without_itself(neighbours, similarities, rows)
    return others


def without_itself(
    neighbours: NDArray[np.int64], similarities: NDArray[np.float32], rows: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Similarity of each row to the first of its two neighbours that is another row.

    Examples
    --------
    >>> without_itself(np.array([[3, 8], [5, 4]]), np.array([[1.0, 0.8], [1.0, 1.0]]),
    ...                np.array([3, 4])).tolist()
    [0.8, 1.0]
    """
    return np.where(neighbours[:, 0] == rows, similarities[:, 1], similarities[:, 0])


def _once(
    queries: NDArray[np.intp], rows: NDArray[np.intp], cosines: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Keep one of (a, b) and (b, a), the later row as the query."""
    pairs = np.stack([np.maximum(queries, rows), np.minimum(queries, rows)], axis=1)
    unique, first = np.unique(pairs, axis=0, return_index=True)
    return unique[:, 0], unique[:, 1], cosines[first]
