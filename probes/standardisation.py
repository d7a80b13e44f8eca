"""Standardisation: columns to mean 0 and deviation 1, as the training rows have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from featstore.probes.stream import RowStream

_CONSTANT = 1e-13  # of a column's magnitude: the rounding of its mean


def column_scale(mean: Tensor, variance: Tensor, std_offset: float = 0.0) -> Tensor:
    """Return what centred columns are multiplied by, shape (..., d); 0 for constant ones.

    Parameters
    ----------
    mean, variance
        Of the columns, shape (..., d), float64.
    std_offset
        Added to the standard deviations.

    Examples
    --------
    >>> column_scale(torch.tensor([3.0, 3.0]), torch.tensor([4.0, 0.0]))
    tensor([0.5000, 0.0000])
    """
    std = variance.sqrt()
    return torch.where(std > _CONSTANT * mean.abs(), 1 / (std + std_offset), 0.0)


@dataclass(frozen=True, eq=False)
class Standardisation:
    """A row map: (x - mean) · scale.

    Attributes
    ----------
    mean, scale
        Shape (d,), float64.
    """

    mean: Tensor
    scale: Tensor

    @classmethod
    def of(cls, stream: RowStream, device: torch.device) -> Self:
        """Take means and deviations in one pass; divided by n, as scikit-learn has it.

        Sums are taken around the block's own mean and joined by Chan, Golub & LeVeque 1983, so
        that nothing cancels in columns far from zero.

        Raises
        ------
        InvalidInputError
            If a view holds NaN or infinity.
        """
        mean = torch.zeros(stream.shape[1], dtype=torch.float64, device=device)  # from `origin`
        squares = torch.zeros_like(mean)
        origin: Tensor | None = None
        for rows, block in stream.blocks(device):
            if origin is None:
                origin = block.mean(dim=0, dtype=torch.float64)
            shifted = block - origin
            centre = shifted.mean(dim=0)
            step = centre - mean
            squares += (shifted - centre).square().sum(dim=0)
            squares += (rows.start * len(block) / rows.stop) * step.square()
            mean += step * (len(block) / rows.stop)
        mean += 0.0 if origin is None else origin
        return cls(mean, column_scale(mean, squares / len(stream)))

    def __call__(self, rows: Tensor) -> Tensor:
        """Map rows (b, d) of any dtype to standardised ones, float64."""
        return (rows - self.mean.to(rows.device)).mul_(self.scale.to(rows.device))
