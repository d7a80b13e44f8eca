"""Design: stored rows as the left operand of a head, in float32, with a column for the bias."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from featstore.probes.row_maps import UnitRows

_ALIGNMENT = 16  # numbers; products of rows at odd addresses take up to twice as long


def padded_width(dim: int, *, bias: bool = True) -> int:
    """Columns of a design block over d features: they, a column of ones for a bias, and zeros.

    Examples
    --------
    >>> padded_width(15), padded_width(16)
    (16, 32)
    >>> padded_width(16, bias=False)
    16
    """
    return -(-(dim + bias) // _ALIGNMENT) * _ALIGNMENT


def new_design(
    n_rows: int, dim: int, *, dtype: torch.dtype, device: torch.device, bias: bool = True
) -> Tensor:
    """Return a design block over d features that are still to be written.

    Shape (n_rows, `padded_width(d)`); its dtype is the one computed in.
    """
    design = torch.zeros(n_rows, padded_width(dim, bias=bias), dtype=dtype, device=device)
    if bias:
        design[:, dim] = 1.0
    return design


def write_features(rows: Tensor, design: Tensor, *, normalise: bool) -> None:
    """Write stored rows (b, d) of any floating dtype into a design block of as many rows.

    With `normalise` they are divided by their l2 norm; zero rows stay zero.
    """
    features = design[:, : rows.shape[1]]
    features.copy_(rows)
    if normalise:
        norms = torch.linalg.vector_norm(features, dim=1, keepdim=True, dtype=torch.float32)
        features /= torch.where(norms > 0, norms, 1.0)


@dataclass(frozen=True, eq=False)
class UnitColumns:
    """Rows restricted to columns, and divided by their l2 norm there; zero rows stay zero.

    Attributes
    ----------
    columns
        Shape (p,), int64.
    """

    columns: Tensor

    def __call__(self, rows: Tensor) -> Tensor:
        """Map rows (b, d) to rows (b, p) of length 1."""
        return UnitRows()(rows[:, self.columns.to(rows.device)])
