"""Row maps: what rows go through before they meet a centroid or a density."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

#: What rows (b, d) as they are stored go through, to rows (b, p).
RowMap = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class UnitRows:
    """Subtract a centre and divide by the l2 norm; zero rows stay zero.

    Attributes
    ----------
    centre
        Shape (d,); None for zero.
    offset
        Added to the norms.
    """

    centre: Tensor | None = None
    offset: float = 0.0

    def __call__(self, rows: Tensor) -> Tensor:
        """Map rows (b, d) of any dtype to rows (b, d) of length 1, float64."""
        rows = rows.double() if self.centre is None else rows - self.centre.to(rows.device)
        norms = rows.norm(dim=1, keepdim=True)
        return rows / torch.where(norms > 0, norms + self.offset, 1.0)


@dataclass(frozen=True, eq=False)
class Squares:
    """Rows around a centre, with their squares beside them.

    Attributes
    ----------
    centre
        Shape (d,).
    """

    centre: Tensor

    def __call__(self, rows: Tensor) -> Tensor:
        """Map rows (b, d) of any dtype to rows (b, 2 d), float64."""
        rows = rows - self.centre.to(rows.device)
        return torch.cat([rows, rows.square()], dim=1)


@dataclass(frozen=True, eq=False)
class CentredRows:
    """Subtract a centre.

    Attributes
    ----------
    centre
        Shape (d,), float64.
    """

    centre: Tensor

    def __call__(self, rows: Tensor) -> Tensor:
        """Map rows (b, d) of any dtype to rows (b, d), float64."""
        return rows - self.centre.to(rows.device)
