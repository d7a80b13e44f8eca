"""Int8Rows: rows rounded to int8, and how far a product of two of them can be off."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_LEVELS = 127
#: Sums of products of two codes stay below 2**31.
MOST_COLUMNS = 2**17


@dataclass(frozen=True, eq=False)
class Int8Rows:
    """Rows x as scale * codes + error.

    Attributes
    ----------
    codes
        Shape (m, d), from -127 to 127.
    scales
        Shape (m,), float32; 1 for rows of zeros.
    lengths, errors
        ‖x‖, and no less than ‖x - scale * codes‖, shape (m,), float64.
    """

    codes: Tensor
    scales: Tensor
    lengths: Tensor
    errors: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Int8Rows:
        """Round rows (m, d), float32, each with a scale of its own.

        Examples
        --------
        >>> rows = torch.tensor([[1.0, -0.5, 0.004], [0.0, 0.0, 0.0]])
        >>> rounded = Int8Rows.of(rows)
        >>> rounded.codes
        tensor([[127, -64,   1],
                [  0,   0,   0]], dtype=torch.int8)
        >>> bool((rounded.errors[0] >= 0.0039) & (rounded.errors[1] == 0))
        True
        """
        scales = torch.linalg.vector_norm(rows, torch.inf, dim=1) / _LEVELS
        # The smallest normal number: below it a code could leave int8.
        scales[scales < torch.finfo(torch.float32).tiny] = 1.0
        codes = (rows / scales[:, None]).round_()
        errors = torch.addcmul(rows, codes, scales[:, None], value=-1)
        slack = rounding(rows.shape[1])
        lengths, distances = (
            torch.linalg.vector_norm(part, dim=1, dtype=torch.float64) for part in (rows, errors)
        )
        return cls(codes.to(torch.int8), scales, lengths, distances + slack * lengths)


def rounding(d: int) -> float:
    """Return a relative error that float32 sums of d products stay below, in any order.

    Higham, *Accuracy and Stability of Numerical Algorithms*, section 3.1: d u / (1 - d u) of the
    sum of absolute values, with u = 2**-24; twice that, for the few operations around the sum.

    Examples
    --------
    >>> rounding(1280) < 2e-4
    True
    """
    return (d + 16) * 2.0**-23


def bounds(queries: Int8Rows, longest: float, errors: float | Tensor) -> Tensor:
    """Return how far approximate products of queries can be from those of float32, float64.

    With q = q' + e and x = x' + f, |q·x - q'·x'| = |e·x + q'·f| ≤ ‖e‖ ‖x‖ + (‖q‖ + ‖e‖) ‖f‖; what
    float32 rounds, in the products and in the approximation, comes on top.

    Parameters
    ----------
    queries
        q of them.
    longest
        The largest length of the rows.
    errors
        Of rows, shape (q, c) or a number for all; the result is (q, c) or (q, 1).

    Examples
    --------
    >>> rows = Int8Rows.of(torch.tensor([[0.6, 0.8], [1.0, 0.0]]))
    >>> bounds(rows, 1.0, float(rows.errors.max())).shape
    torch.Size([2, 1])
    """
    own = queries.errors[:, None]
    reach = queries.lengths[:, None] + own
    rounded = 2 * rounding(queries.codes.shape[1]) * reach * (longest + errors)
    return own * longest + reach * errors + rounded
