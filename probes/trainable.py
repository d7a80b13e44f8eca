"""Trainable: what a training moves, whatever is inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Trainable(Protocol):
    """Parameters of several heads, trained on the same batches."""

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        ...

    @property
    def sums(self) -> Tensor:
        """Losses and right answers, summed over rows and steps, shape (2, heads), float64.

        Whoever reads them sets them back.
        """
        ...

    def forward(self, X: Tensor, rows: slice) -> None:
        """Take in some rows of a batch: their design block, and where they are in the batch."""
        ...

    def backward(self, X: Tensor, targets: Tensor) -> None:
        """Find the gradient of a batch, from its whole design and the loss's targets."""
        ...

    def step(self, coefficients: Sequence[float] | Tensor) -> None:
        """Update the parameters by the gradient."""
        ...
