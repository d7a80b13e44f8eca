"""Linear CKA: whether two blocks give the same pairs of rows the same similarity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.analysis.block_moments import BlockMoments, as_source
from featstore.errors import InvalidInputError

_FEWEST_ROWS = 4


def linear_cka(X: Any, Y: Any, *, unbiased: bool = True) -> float:
    """Centred kernel alignment of two blocks with linear kernels (Kornblith et al. 2019).

    CKA = HSIC(K, L) / √(HSIC(K, K) HSIC(L, L)) with K = X Xᵀ, L = Y Yᵀ.  It is 1 for blocks that
    differ by a rotation and a factor.

    Parameters
    ----------
    X, Y
        Shapes (n, d) and (n, d') on the same rows: views, arrays or tensors.
    unbiased
        Take the unbiased estimate of HSIC (Song et al. 2012, eq. 5), which is near 0 for unrelated
        blocks also where d is not small against n; the biased one is near 1 there.

    Returns
    -------
    cka
        At most 1; the unbiased estimate may fall below 0.

    Raises
    ------
    InvalidInputError
        If the rows do not match, are fewer than four, or hold no finite, varying values.

    References
    ----------
    Kornblith, Norouzi, Lee & Hinton (2019), Similarity of neural network representations
    revisited, ICML.  Song, Smola, Gretton, Bedo & Borgwardt (2012), Feature selection via
    dependence maximization, JMLR 13.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> print(round(linear_cka(X, -2 * X[:, ::-1]), 6))
    1.0
    """
    a, b = BlockMoments.of(X), BlockMoments.of(Y)
    return cka_of_moments(a, b, a.cross(b), unbiased=unbiased)


def cka_of_moments(
    a: BlockMoments, b: BlockMoments, cross: NDArray[np.float64], *, unbiased: bool
) -> float:
    """Linear CKA from the moments of both blocks and those between them (k, d, d')."""
    xy = _hsic(a, b, cross.sum(axis=0), unbiased=unbiased)
    xx = _hsic(a, a, a.total, unbiased=unbiased)
    yy = _hsic(b, b, b.total, unbiased=unbiased)
    return float(xy / np.sqrt(xx * yy)) if xx > 0 and yy > 0 else float("nan")


def minibatch_cka(X: Any, Y: Any, *, batch_size: int = 256, seed: int = 0) -> float:
    """Linear CKA with each HSIC a mean of unbiased estimates over batches (Nguyen et al. 2021).

    For numbers to be compared with published ones.  `linear_cka` takes all pairs of rows into
    account instead of those within batches, at about the same cost.

    Parameters
    ----------
    X, Y
        As for `linear_cka`.
    batch_size
        Rows of a batch; those left over are not used.
    seed
        Of the order of the rows.

    Raises
    ------
    InvalidInputError
        As `linear_cka`, or if a batch has fewer than four rows or more than there are.

    References
    ----------
    Nguyen, Raghu & Kornblith (2021), Do wide and deep networks learn the same things?, ICLR.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(64, 3))
    >>> print(round(minibatch_cka(X, 3 * X, batch_size=16), 6))
    1.0
    """
    X, Y = as_source(X), as_source(Y)
    n = X.shape[0]
    if Y.shape[0] != n:
        raise InvalidInputError(f"the blocks have {n} and {Y.shape[0]} rows; they must match")
    if not _FEWEST_ROWS <= batch_size <= n:
        raise InvalidInputError(
            f"batches of {batch_size} from {n} rows: a batch needs {_FEWEST_ROWS} rows or more"
        )
    order = np.random.default_rng(seed).permutation(n)
    sums = np.zeros(3)
    for start in range(0, n - batch_size + 1, batch_size):
        rows = np.sort(order[start : start + batch_size])
        a, b = (BlockMoments.of(_taken(source, rows)) for source in (X, Y))
        crossed = ((a, b, a.cross(b)[0]), (a, a, a.total), (b, b, b.total))
        sums += [_hsic(*parts, unbiased=True) for parts in crossed]
    return float(sums[0] / np.sqrt(sums[1] * sums[2]))


def _hsic(a: BlockMoments, b: BlockMoments, cross: NDArray[np.float64], *, unbiased: bool) -> float:
    """HSIC of linear kernels, up to a factor that CKA does not see."""
    norm = float(np.vdot(cross, cross))  # of XᵀY: the trace of K L
    if not unbiased:
        return norm
    n = a.n
    if n < _FEWEST_ROWS:
        raise InvalidInputError(f"unbiased CKA needs {_FEWEST_ROWS} rows, got {n}")
    # The estimate sees K and L without their diagonals, and does not change when X or Y moves.
    # With centred rows, each row of K less its diagonal sums to -K_ii; so all three terms of
    # eq. 5 follow from the norm above, the squared row norms, and their inner product.
    diagonals = float(a.norms @ b.norms)
    traces = float(a.norms.sum() * b.norms.sum())
    return norm - diagonals + traces / ((n - 1) * (n - 2)) - 2 * diagonals / (n - 2)


def _taken(source: Any, rows: NDArray[np.intp]) -> NDArray[Any]:
    taken: NDArray[Any] = source[rows] if isinstance(source, np.ndarray) else source.take(rows)
    return taken
