"""R² of a linear map: how much of one block another one predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.analysis.block_moments import BlockMoments
from featstore.errors import InvalidInputError


def linear_map_r2(X: Any, Y: Any, *, folds: int = 5, seed: int = 0) -> float:
    """Share of the variance of Y that least squares on X predicts in rows it was not fitted to.

    R² = 1 - Σ ‖y - ŷ‖² / Σ ‖y - ȳ‖² over the rows of all folds; ŷ is the affine least-squares
    prediction (of least norm, without a penalty), and ȳ the mean, both of the other folds.  One
    pass over the rows: fits and errors follow from sums of products for each fold.

    Parameters
    ----------
    X, Y
        Shapes (n, d) and (n, d') on the same rows: views, arrays or tensors.
    folds
        Random folds, two or more.
    seed
        Of the folds.

    Returns
    -------
    r2
        At most 1.  Below 0 where the mean predicts better: with few rows for d columns, a map is
        mostly noise.

    Raises
    ------
    InvalidInputError
        If the rows do not match, hold no finite, varying values, or cannot be divided.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> print(round(linear_map_r2(X, X[:, :1] - 2), 6), linear_map_r2(X[:, :1], X) < 0.5)
    1.0 True
    """
    a, b = (BlockMoments.of(block, folds=folds, seed=seed) for block in (X, Y))
    return r2_of_moments(a, b, a.cross(b))


def r2_of_moments(a: BlockMoments, b: BlockMoments, cross: NDArray[np.float64]) -> float:
    """`linear_map_r2` from the moments of both blocks and those between them (k, d, d').

    Raises
    ------
    InvalidInputError
        If the moments were not summed over two folds or more.
    """
    if a.n_folds < 2:
        raise InvalidInputError("the R² of a linear map needs two folds or more")
    between = cross.sum(axis=0)
    error = spread = 0.0
    for fold, n_rest in enumerate(a.n_training):
        n_fold = a.n - n_rest
        # Sums are of rows less the mean of all, so those of a fold and of the rest cancel.
        mean_x, mean_y = -a.sums[fold] / n_rest, -b.sums[fold] / n_rest
        fit_xy = between - cross[fold] - n_rest * np.outer(mean_x, mean_y)
        root = a.training_roots[fold]
        B = root @ (root.T @ fit_xy)  # (d, d')
        # Products of the fold's rows about the means that the fit knows.
        xx = _about(a.scatter[fold], a.sums[fold], a.sums[fold], mean_x, mean_x, n_fold)
        xy = _about(cross[fold], a.sums[fold], b.sums[fold], mean_x, mean_y, n_fold)
        yy = np.trace(b.scatter[fold]) - 2 * b.sums[fold] @ mean_y + n_fold * mean_y @ mean_y
        error += float(yy - 2 * np.vdot(B, xy) + np.vdot(B, xx @ B))
        spread += float(yy)
    return 1 - error / spread


def _about(
    products: NDArray[np.float64],
    sums_x: NDArray[np.float64],
    sums_y: NDArray[np.float64],
    mean_x: NDArray[np.float64],
    mean_y: NDArray[np.float64],
    n: int,
) -> NDArray[np.float64]:
    """Sum of (x - mean_x)(y - mean_y)ᵀ from sums of x yᵀ, x and y over n rows."""
    moved: NDArray[np.float64] = (
        products
        - np.outer(sums_x, mean_y)
        - np.outer(mean_x, sums_y)
        + n * np.outer(mean_x, mean_y)
    )
    return moved
