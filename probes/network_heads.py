"""NetworkHeads: heads of one network, trained, that score rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from featstore.probes.device import threads_for
from featstore.probes.head_network import HeadNetwork, Parts
from featstore.probes.row_maps import RowMap
from featstore.probes.stream import BLOCK_ROWS, RowStream

_PASS_BYTES = 64 << 20  # what a block of rows may take on its way to the logits


@dataclass(frozen=True, eq=False)
class NetworkHeads:
    """Trained heads.

    Attributes
    ----------
    network
        Architecture.
    parts
        Parameters by name, shape (h, ...).
    scaling
        What rows go through first; None for nothing.
    """

    network: HeadNetwork
    parts: Parts
    scaling: RowMap | None

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))

    def select(self, heads: slice) -> Self:
        """Return some of the heads, on the CPU."""
        parts = {name: part[heads].detach().cpu() for name, part in self.parts.items()}
        return type(self)(self.network, parts, self.scaling)

    def scores(self, stream: RowStream, device: torch.device) -> Tensor:
        """Logits of all rows, shape (h, n, k): computed in float64, float32 unless the rows are."""
        parts = {name: part.detach().to(device, torch.float64) for name, part in self.parts.items()}
        dtype = torch.float64 if stream.dtype == np.float64 else torch.float32
        numbers = self.network.numbers_per_row(len(self))
        size = min(max(_PASS_BYTES // (8 * numbers), 1), BLOCK_ROWS)
        out = torch.empty(len(self), len(stream), self.network.n_columns, dtype=dtype)
        work = self.network.operations_per_row(len(self)) * min(len(stream), size)
        with torch.no_grad(), threads_for(work, device):
            for rows, block in stream.blocks(device, size=size):
                X = block.double() if self.scaling is None else self.scaling(block)
                logits = self.network.logits(parts, X)  # (h, k, b)
                out[:, rows] = logits.transpose(1, 2).cpu().to(dtype)
        return out
