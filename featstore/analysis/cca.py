"""SVCCA and PWCCA: what two blocks share up to linear maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.analysis.block_moments import BlockMoments
from featstore.errors import InvalidInputError


def svcca(X: Any, Y: Any, *, variance: float = 0.99) -> float:
    """Mean canonical correlation of the leading principal components (Raghu et al. 2017).

    Parameters
    ----------
    X, Y
        Shapes (n, d) and (n, d') on the same rows: views, arrays or tensors.  With n near d + d'
        or below, correlations are near 1 whatever the features.
    variance
        Share of each block's variance that its components hold; 1 keeps all (mean CCA).

    Returns
    -------
    svcca
        In [0, 1]; 1 if the components of one block are linear maps of the other's.

    Raises
    ------
    InvalidInputError
        If the rows do not match or hold no finite, varying values, or `variance` is no share.

    References
    ----------
    Raghu, Gilmer, Yosinski & Sohl-Dickstein (2017), SVCCA, NeurIPS.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> print(round(svcca(X, X @ [[1, 2], [0, 1]], variance=1), 6))
    1.0
    """
    a, b = BlockMoments.of(X), BlockMoments.of(Y)
    return svcca_of_moments(a, b, a.cross(b), variance=variance)


def pwcca(X: Any, Y: Any) -> float:
    """Canonical correlations weighted by how much of X they account for (Morcos et al. 2018).

    Σ αᵢ ρᵢ / Σ αᵢ with αᵢ = Σⱼ |⟨hᵢ, xⱼ⟩|: hᵢ are the canonical variates of X, xⱼ its columns.
    It changes when X is rotated.  Where correlations are equal (1 for a
    block and a part of it), their variates are not unique, and the weights not either.

    Parameters
    ----------
    X, Y
        As for `svcca`; swapping them gives another number.

    Returns
    -------
    pwcca
        In [0, 1].

    Raises
    ------
    InvalidInputError
        If the rows do not match or hold no finite, varying values.

    References
    ----------
    Morcos, Raghu & Bengio (2018), Insights on representational similarity in neural networks
    with canonical correlation, NeurIPS.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> print(round(pwcca(X, X @ [[1, 2], [0, 1]]), 6))
    1.0
    """
    a, b = BlockMoments.of(X), BlockMoments.of(Y)
    return pwcca_of_moments(a, b, a.cross(b))


def svcca_of_moments(
    a: BlockMoments, b: BlockMoments, cross: NDArray[np.float64], *, variance: float
) -> float:
    """`svcca` from the moments of both blocks and those between them (k, d, d')."""
    if not 0 < variance <= 1:
        raise InvalidInputError(f"variance is a share in (0, 1], got {variance:g}")
    left, right = a.leading_root(variance), b.leading_root(variance)
    return float(_correlations(left.T @ cross.sum(axis=0) @ right)[1].mean())


def pwcca_of_moments(a: BlockMoments, b: BlockMoments, cross: NDArray[np.float64]) -> float:
    """`pwcca` from the moments of both blocks and those between them (k, d, d')."""
    left = a.root
    directions, correlations = _correlations(left.T @ cross.sum(axis=0) @ b.root)
    # h = X W u, so the inner products of all h with all columns of X are uᵀ Wᵀ (XᵀX).
    weights = np.abs(directions.T @ left.T @ a.total).sum(axis=1)
    return float(weights @ correlations / weights.sum())


def _correlations(
    whitened: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Directions (r, m) of the left block and correlations (m,), m the smaller rank."""
    directions, values, _ = np.linalg.svd(whitened, full_matrices=False)
    return directions, np.minimum(values, 1.0)
