"""MMD: whether two samples have one distribution, by the means of their kernel embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError

#: Rows of a block, of both samples together: its kernel takes 32 MiB.
BLOCK_ROWS = 2048
_MEDIAN_ROWS = 1000


@dataclass(frozen=True)
class MMD:
    """Maximum mean discrepancy of two samples.

    Attributes
    ----------
    value
        Unbiased estimate of MMD²; it may be below 0.
    p
        Of a permutation test.
    bandwidth
        Of the kernel.
    blocks
        Into which the rows were divided.
    """

    value: float
    p: float
    bandwidth: float
    blocks: int


def mmd(
    X: NDArray[np.floating],
    Y: NDArray[np.floating],
    *,
    bandwidth: float | None = None,
    n_permutations: int = 200,
    block_rows: int = BLOCK_ROWS,
    seed: int = 0,
) -> MMD:
    r"""Unbiased MMD² with the kernel exp(-‖x - y‖² / (2 h²)), and its permutation test.

    .. math:: \frac{1}{n (n-1)} \sum_{i \ne j} k(x_i, x_j) + \frac{1}{m (m-1)} \sum_{i \ne j}
              k(y_i, y_j) - \frac{2}{n m} \sum_{ij} k(x_i, y_j)

    Samples of more than `block_rows` rows are divided at random into blocks of equal shares of
    both.  The value is then the mean over the blocks (Zaremba et al. 2013), and rows are permuted
    within them.  The test is exact either way: under the hypothesis all such permutations are
    alike.

    Parameters
    ----------
    X, Y
        Shapes (n, d) and (m, d).
    bandwidth
        h; the median distance of 1,000 pooled rows by default.
    n_permutations
        The smallest p is 1 / (n_permutations + 1).
    block_rows
        Memory grows with its square, time with it.
    seed
        Of blocks, permutations and the rows for the median.

    Raises
    ------
    InvalidInputError
        If shapes do not fit, there are fewer than two rows in a block of a sample, all rows are
        equal, or the bandwidth is not positive.

    References
    ----------
    Gretton et al. (2012), A kernel two-sample test, JMLR 13, equation 3 and section 8.  Zaremba,
    Gretton & Blaschko (2013), B-tests, NeurIPS.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> result = mmd(rng.normal(size=(60, 4)), 1 + rng.normal(size=(40, 4)))
    >>> bool(result.value > 0.1), round(result.p, 3)
    (True, 0.005)
    """
    check_samples(X, Y)
    if n_permutations < 1:
        raise InvalidInputError(f"a test takes one permutation or more, got {n_permutations}")
    rng = np.random.default_rng(seed)
    h = _median_distance(X, Y, rng) if bandwidth is None else bandwidth
    if not h > 0:
        raise InvalidInputError(
            f"the bandwidth is a distance above 0, got {h:g}"
            + (": most rows are equal; give another" if bandwidth is None else "")
        )
    n_blocks = -(-(len(X) + len(Y)) // block_rows)
    if min(len(X), len(Y)) < 2 * n_blocks:
        raise InvalidInputError(
            f"{len(X)} and {len(Y)} rows in {n_blocks} blocks leave a block with fewer than two "
            "rows of a sample; take a larger block_rows, or samples of like size"
        )
    parts = zip(
        np.array_split(rng.permutation(len(X)), n_blocks),
        np.array_split(rng.permutation(len(Y)), n_blocks),
        strict=True,
    )
    values = np.zeros(1 + n_permutations)
    for in_x, in_y in parts:
        values += _block(X[in_x], Y[in_y], h, n_permutations, rng) / n_blocks
    # The order as it is counts as one of the permutations; rounding is no difference.
    reached = values[1:] >= values[0] - 1e-12
    p = (1 + int(reached.sum())) / (1 + n_permutations)
    return MMD(float(values[0]), p, float(h), n_blocks)


def check_samples(X: NDArray[np.floating], Y: NDArray[np.floating]) -> None:
    """Refuse samples with fewer than two rows, or of different columns, or not finite."""
    if X.ndim != 2 or Y.ndim != 2 or X.shape[1] != Y.shape[1] or min(len(X), len(Y)) < 2:
        raise InvalidInputError(
            f"two samples are matrices (n, d) and (m, d) with two rows or more, got {X.shape} and "
            f"{Y.shape}"
        )
    for name, sample in (("first", X), ("second", Y)):
        if not np.isfinite(sample).all():
            bad = np.flatnonzero(~np.isfinite(sample).all(axis=1))
            raise InvalidInputError(
                f"{len(bad)} rows of the {name} sample hold NaN or infinity, first row {bad[0]}"
            )


def _block(
    X: NDArray[np.floating],
    Y: NDArray[np.floating],
    bandwidth: float,
    n_permutations: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """MMD² of the rows as they are, and after permutations; shape (1 + n_permutations,)."""
    n, m = len(X), len(Y)
    kernel = np.exp(_squares(np.concatenate([X, Y])) / (-2 * bandwidth**2))
    np.fill_diagonal(kernel, 0)
    in_x = np.zeros((n + m, 1 + n_permutations))
    in_x[:n, 0] = 1
    for column in in_x.T[1:]:
        column[rng.permutation(n + m)[:n]] = 1
    # With a = 1 for rows of X: Σ_xx = aᵀ K a, Σ_xy = aᵀ K 1 - Σ_xx, and the rest is Σ_yy.
    xx = np.einsum("nb,nb->b", in_x, kernel @ in_x)
    xy = kernel.sum(axis=1) @ in_x - xx
    yy = kernel.sum() - 2 * xy - xx
    values: NDArray[np.float64] = xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)
    return values


def _squares(Z: NDArray[np.floating]) -> NDArray[np.float64]:
    """Squared distances of all pairs of rows."""
    Z = np.asarray(Z, np.float64)
    Z = Z - Z.mean(axis=0)  # distances stay, and keep their digits
    norms = np.einsum("nd,nd->n", Z, Z)
    squares: NDArray[np.float64] = np.maximum(norms[:, None] + norms - 2 * (Z @ Z.T), 0)
    return squares


def _median_distance(
    X: NDArray[np.floating], Y: NDArray[np.floating], rng: np.random.Generator
) -> float:
    drawn = rng.choice(len(X) + len(Y), min(len(X) + len(Y), _MEDIAN_ROWS), replace=False)
    rows = np.concatenate([X[drawn[drawn < len(X)]], Y[drawn[drawn >= len(X)] - len(X)]])
    return float(np.sqrt(np.median(_squares(rows)[np.triu_indices(len(rows), 1)])))
