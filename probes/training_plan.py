"""Plan: what a training does, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.probes.batch_loss import BatchLoss
from featstore.probes.design import new_design, write_features
from featstore.probes.row_maps import RowMap
from featstore.probes.sample_order import SampleOrder
from featstore.probes.update import Update

Products = Literal["float32", "float16"]


@dataclass(frozen=True, eq=False)
class Plan:
    """A training.

    Attributes
    ----------
    order
        Which rows each step sees.
    shares
        Factor of the learning rates at each step, shape (n_steps,).
    loss, update
        What is minimised and how.
    dim
        Features, d.
    normalise
        Whether rows are divided by their l2 norm.
    decay_bias
        Whether weight decay is for the bias too.
    products
        What the operands of products are rounded to; sums and parameters are float32.
    scaling
        What rows go through before they become a design; None for nothing.
    bias
        Whether a design has a column of ones, for heads whose bias is one of their weights.
    """

    order: SampleOrder
    shares: NDArray[np.float64]
    loss: BatchLoss
    update: Update
    dim: int
    normalise: bool
    decay_bias: bool
    products: Products = "float32"
    scaling: RowMap | None = None
    bias: bool = True

    @property
    def n_steps(self) -> int:
        """Steps of the training."""
        return len(self.shares)

    @cached_property
    def coefficients(self) -> NDArray[np.float64]:
        """Of the update, shape (n_steps, c)."""
        return self.update.coefficients(self.shares)

    def epochs(self) -> Iterator[range]:
        """Return the steps of each epoch; the last one may be cut short."""
        length = self.order.steps_per_epoch
        return (range(i, min(i + length, self.n_steps)) for i in range(0, self.n_steps, length))

    def new_design(self, n_rows: int, dim: int, device: torch.device) -> Tensor:
        """Return an empty design over some of the features, shape (n_rows, `padded_width`)."""
        half = self.products == "float16" and device.type == "cuda"
        dtype = torch.float16 if half else torch.float32
        return new_design(n_rows, dim, dtype=dtype, device=device, bias=self.bias)

    def write(self, rows: Tensor, design: Tensor) -> None:
        """Write stored rows into as many rows of a design, rounded as products ask for it."""
        if self.scaling is not None:
            rows = self.scaling(rows)
        write_features(rows, design, normalise=self.normalise)
        if self.products == "float16" and design.dtype == torch.float32:
            design.copy_(design.half())  # a CPU is slow with products of halves
