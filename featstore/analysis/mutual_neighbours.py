"""Mutual neighbours: whether two blocks put the same rows next to each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.analysis.block_moments import as_source
from featstore.errors import InvalidInputError

_QUERIES = 1024


def mutual_knn(X: Any, Y: Any, *, k: int = 10, n_rows: int = 2048, seed: int = 0) -> float:
    """Mean share of a row's k nearest neighbours that two blocks have in common.

    Neighbours by cosine similarity, the row itself left out (Huh et al. 2024, who take k = 10
    among 1,024 rows).  Unrelated blocks share k / (m - 1) among m rows.

    Parameters
    ----------
    X, Y
        Shapes (n, d) and (n, d') on the same rows: views, arrays or tensors.
    k
        Neighbours.
    n_rows
        Rows of a random sample that neighbours are sought in; numbers from samples of different
        size cannot be compared.
    seed
        Of the sample.

    Returns
    -------
    overlap
        In [0, 1].

    Raises
    ------
    InvalidInputError
        If the rows do not match, are too few for k, or hold NaN or infinity.

    References
    ----------
    Huh, Cheung, Wang & Isola (2024), The Platonic representation hypothesis, ICML.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> mutual_knn(X, 2 * X, k=5)
    1.0
    """
    X, Y = as_source(X), as_source(Y)
    if X.shape[0] != Y.shape[0]:
        raise InvalidInputError(
            f"the blocks have {X.shape[0]} and {Y.shape[0]} rows; similarity needs the same rows "
            "in both, in one order"
        )
    rows = sample_rows(X.shape[0], n_rows, seed=seed)
    return overlap(*(nearest(block, rows, k=k) for block in (X, Y)))


def sample_rows(n: int, n_rows: int, *, seed: int) -> NDArray[np.intp]:
    """Draw min(n, n_rows) of n rows, ascending.

    Examples
    --------
    >>> len(sample_rows(1000, 10, seed=0)), sample_rows(3, 10, seed=0).tolist()
    (10, [0, 1, 2])
    """
    drawn = np.random.default_rng(seed).choice(n, min(n, n_rows), replace=False)
    return np.sort(drawn).astype(np.intp)


def nearest(X: Any, rows: NDArray[np.intp], *, k: int) -> NDArray[np.bool_]:
    """Which of some rows are among the k nearest of each of them, shape (m, m).

    Parameters
    ----------
    X
        Block, shape (n, d).
    rows
        Shape (m,).
    k
        From 1 to m - 1.

    Raises
    ------
    InvalidInputError
        If k is not, or values are missing or infinite.

    Examples
    --------
    >>> nearest(np.eye(3)[[0, 0, 2]], np.arange(3), k=1)[:2].tolist()
    [[False, True, False], [True, False, False]]
    """
    m = len(rows)
    if not 1 <= k < m:
        raise InvalidInputError(f"{m} rows have 1 to {m - 1} neighbours each, got k = {k}")
    source = as_source(X)
    taken = source[rows] if isinstance(source, np.ndarray) else source.take(rows)
    values = np.array(taken, np.float64)
    norms = np.sqrt(np.einsum("nd,nd->n", values, values))
    if not np.isfinite(norms).all():
        raise InvalidInputError(f"row {rows[~np.isfinite(norms)][0]} holds NaN or infinity")
    values /= np.where(norms > 0, norms, 1)[:, None]
    near = np.zeros((m, m), bool)
    for start in range(0, m, _QUERIES):
        cosines = values[start : start + _QUERIES] @ values.T
        here = np.arange(len(cosines))
        cosines[here, start + here] = -np.inf
        np.put_along_axis(
            near[start : start + len(here)], np.argpartition(-cosines, k - 1)[:, :k], True, axis=1
        )
    return near


def overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Mean share of neighbours in common, of two results of `nearest`.

    Examples
    --------
    >>> overlap(np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) > 0, ~np.eye(3, dtype=bool))
    1.0
    """
    return float((a & b).sum() / a.sum())
