"""RowFeed: the rows of a training, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from featstore.probes.inputs import blocks
from featstore.probes.sample_order import SampleOrder

#: Rows of a block: between gathering, widening and product it stays in the cache.
BLOCK_ROWS = 256


class RowFeed(Protocol):
    """Gives a training its rows."""

    def batch(self, step: int) -> Iterator[Tensor]:
        """Yield a step's rows as they are stored, in blocks (b, d), on the CPU.

        Steps are asked for one after the other; a block holds until the next one.
        """
        ...


class MemoryFeed:
    """Rows of a matrix in memory, or mapped.

    Parameters
    ----------
    X
        Shape (n, d), any floating dtype, on the CPU.
    order
        Of the training.

    Attributes
    ----------
    X
        As given.
    """

    def __init__(self, X: Tensor, order: SampleOrder) -> None:
        self.X, self._order = X, order
        self._buffer = X.new_empty(min(BLOCK_ROWS, order.batch_size), X.shape[1])

    def batch(self, step: int) -> Iterator[Tensor]:
        """Yield a step's rows, gathered one block at a time."""
        index = torch.from_numpy(self._order.batch(step))
        for part in blocks(index.shape[0], BLOCK_ROWS):
            out = self._buffer[: part.stop - part.start]
            yield torch.index_select(self.X, 0, index[part], out=out)
