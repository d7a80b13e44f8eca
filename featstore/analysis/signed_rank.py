"""Wilcoxon's signed-rank test, exact also where differences tie or are 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import rankdata

#: Differences up to which every choice of signs is counted; beyond, W is nearly normal.
_COUNTED = 50


def signed_rank_p(difference: NDArray[np.float64]) -> float:
    """Two-sided p that differences are symmetric about 0.

    Differences of 0 keep their ranks, half on each side (Demšar 2006).  Signs of the others are a
    fair coin each; the distribution of twice the sum of positive ranks, a whole number even where
    ranks are shared, is built up one difference after the other.

    Parameters
    ----------
    difference
        Shape (n,), n >= 1.

    Returns
    -------
    p
        1 where all differences are 0.

    References
    ----------
    Wilcoxon (1945), Biometrics Bulletin 1; Pratt (1959), JASA 54, for zeros that keep their ranks.

    Examples
    --------
    >>> signed_rank_p(np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    0.0625
    """
    # Differences of equal decimals are equal: 0.3 - 0.2 and 0.2 - 0.1 should tie.
    rounded = np.round(difference, 12)
    moving = rounded != 0
    if not moving.any():
        return 1.0
    ranks = np.rint(2 * rankdata(np.abs(rounded))).astype(np.intp)[moving]
    positive = int(ranks[rounded[moving] > 0].sum())
    if len(rounded) > _COUNTED:
        deviate = (2 * positive - ranks.sum()) / np.sqrt(np.sum(ranks.astype(np.float64) ** 2))
        return float(2 * ndtr(-abs(deviate)))
    share = np.zeros(ranks.sum() + 1)  # of the choices of signs, by the sum of positive ranks
    share[0] = 1
    for rank in ranks:
        moved = np.zeros_like(share)
        moved[rank:] = share[:-rank]
        share = (share + moved) / 2
    return float(min(2 * min(share[: positive + 1].sum(), share[positive:].sum()), 1.0))
