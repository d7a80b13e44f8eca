"""Fréchet distance: how far apart two samples are, seen as Gaussians."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featstore.analysis.mmd import check_samples


def frechet_distance(X: NDArray[np.floating], Y: NDArray[np.floating]) -> float:
    r"""Squared Fréchet (2-Wasserstein) distance of the Gaussians fitted to two samples.

    .. math:: \|\mu - \nu\|^2 + tr \Sigma + tr T - 2\, tr (\Sigma T)^{1/2}

    With :math:`\Sigma = R^T R` and :math:`T = S^T S`, the last trace is the sum of the singular
    values of :math:`R S^T`; R and S are QR factors of the centred rows, so no matrix root is taken
    and covariances may be singular.

    Two samples of one distribution are at a positive distance, and at a larger one the fewer rows
    there are for each column: compare with that of random divisions (`random_frechet`).

    Parameters
    ----------
    X, Y
        Shapes (n, d) and (m, d); covariances divide by n - 1 and m - 1.

    Raises
    ------
    InvalidInputError
        If shapes do not fit, or values are missing or infinite.

    References
    ----------
    Dowson & Landau (1982), The Fréchet distance between multivariate normal distributions, J.
    Multivariate Analysis 12.  Heusel et al. (2017), GANs trained by a two time-scale update rule,
    NeurIPS (FID).

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> round(frechet_distance(X, X + 2), 6)
    12.0
    """
    check_samples(X, Y)
    (mean_x, root_x), (mean_y, root_y) = _moments(X), _moments(Y)
    shift = mean_x - mean_y
    nuclear = np.linalg.svd(root_x @ root_y.T, compute_uv=False).sum()
    spread = (root_x**2).sum() + (root_y**2).sum() - 2 * nuclear
    return float(shift @ shift + max(spread, 0.0))


def random_frechet(
    X: NDArray[np.floating], Y: NDArray[np.floating], *, draws: int = 5, seed: int = 0
) -> float:
    """Mean Fréchet distance of random divisions of all rows into samples of the same sizes.

    What sampling alone would give: compare `frechet_distance` with it.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(40, 3))
    >>> bool(0 < random_frechet(X[:20], X[20:]) < 1)
    True
    """
    check_samples(X, Y)
    rng, rows = np.random.default_rng(seed), np.concatenate([X, Y])
    values = []
    for _ in range(draws):
        order = rng.permutation(len(rows))
        values.append(frechet_distance(rows[order[: len(X)]], rows[order[len(X) :]]))
    return float(np.mean(values))


def _moments(X: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (d,), and R (min(n, d), d) whose products are the covariance."""
    rows = np.asarray(X, np.float64)
    mean = rows.mean(axis=0)
    root = np.linalg.qr(rows - mean, mode="r") / np.sqrt(len(rows) - 1)
    return mean, root
