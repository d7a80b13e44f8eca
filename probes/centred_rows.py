"""CentredRows: features around a centre, made block by block; and the blocks of any design."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from featstore.probes.inputs import as_tensor, blocks
from featstore.probes.stream import RowStream

#: Rows that are converted at a time while features are looked at for the first time.
STREAMED_ROWS = 256


@dataclass(frozen=True, eq=False)
class CentredRows:
    """A design matrix (n, d) of which no more than a block is ever in memory.

    Attributes
    ----------
    stream
        Features as they are stored, known to be finite.
    mean
        What is subtracted, shape (d,), float64; its device is where the blocks go.
    dtype
        Of the blocks.  For features of that precision or less, `mean` should be a number of that
        precision: then blocks are the exact differences, rounded once.
    batch_rows
        Rows that a view reads at a time; None for what suits it.
    """

    stream: RowStream
    mean: Tensor
    dtype: torch.dtype
    batch_rows: int | None = None

    def __len__(self) -> int:
        return len(self.stream)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return self.stream.shape

    @property
    def device(self) -> torch.device:
        """Where the blocks are."""
        return self.mean.device

    def numel(self) -> int:
        """Return how many numbers there are, n d."""
        return self.shape[0] * self.shape[1]

    def blocks(self, size: int) -> Iterator[tuple[slice, Tensor]]:
        """Yield consecutive rows, at most `size` at a time."""
        mean = self.mean.to(self.dtype)
        for rows, block in self.stream.blocks(
            self.device, size=size, batch_rows=self.batch_rows, check=False
        ):
            if block.dtype == torch.float64 != self.dtype:
                yield rows, (block - self.mean).to(self.dtype)
            elif block.dtype == self.dtype:
                yield rows, block - mean
            else:
                yield rows, block.to(self.dtype).sub_(mean)

    def __getitem__(self, rows: slice) -> Tensor:
        """Rows of features that are in memory; others are gathered, which a pass should not be."""
        if isinstance(self.stream.source, np.ndarray):
            return as_tensor(self.stream.source[rows]).to(self.device).sub(self.mean).to(self.dtype)
        return self.take(torch.arange(len(self))[rows]).to(self.dtype)

    def take(self, index: Tensor) -> Tensor:
        """Gather rows, shape (m, d), float64."""
        rows = torch.from_numpy(self.stream.take(index.cpu().numpy()))
        return rows.to(self.device).double() - self.mean


#: A centred feature matrix (n, r).
Design = Tensor | CentredRows


def row_blocks(design: Design, size: int, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
    """Yield consecutive rows of a design and where they are, at most `size` at a time.

    Examples
    --------
    >>> X = torch.arange(6.0).reshape(3, 2)
    >>> [(rows.stop, block.tolist()) for rows, block in row_blocks(X, 2, torch.float64)]
    [(2, [[0.0, 1.0], [2.0, 3.0]]), (3, [[4.0, 5.0]])]
    """
    if isinstance(design, CentredRows):
        for rows, block in design.blocks(size):
            yield rows, block.to(dtype)
        return
    for rows in blocks(len(design), size):
        yield rows, design[rows].to(dtype)


def row_norms(design: Design) -> Tensor:
    """Norms of the rows, shape (n,), float64."""
    norms = torch.empty(len(design), dtype=torch.float64, device=design.device)
    for rows, block in row_blocks(design, STREAMED_ROWS, design.dtype):
        norms[rows] = torch.linalg.vector_norm(block, dim=1, dtype=torch.float64)
    return norms
