"""Workload: a matrix's shape, and which of its rows are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SEED = 0
#: Seed of the shuffled pass: `np.random.default_rng(SHUFFLE).permutation(rows)`.
SHUFFLE = 1
_MADE_AT_ONCE = 16384
#: Share of the rows that `gather` and the batches of a cold run ask for.
SHARE = 0.1


@dataclass(frozen=True)
class Workload:
    """What is asked of every contestant.

    Attributes
    ----------
    rows, dim, dtype
        The matrix.
    block_rows
        Rows of a block of a scan.
    batch_rows, n_batches
        Rows of a shuffled batch, and how many batches.
    """

    rows: int
    dim: int
    dtype: str
    block_rows: int
    batch_rows: int
    n_batches: int

    def matrix(self) -> NDArray[Any]:
        """Return values of a normal distribution, shape (rows, dim): nothing to compress."""
        rng = np.random.default_rng(_SEED)
        X = np.empty((self.rows, self.dim), self.dtype)
        for start in range(0, self.rows, _MADE_AT_ONCE):
            block = X[start : start + _MADE_AT_ONCE]
            block[:] = rng.standard_normal(block.shape, np.float32)
        return X

    @property
    def nbytes(self) -> int:
        """Size of the matrix."""
        return self.rows * self.dim * np.dtype(self.dtype).itemsize

    @cached_property
    def gathered(self) -> NDArray[np.intp]:
        """A tenth of the rows, in random order, none twice."""
        n = max(int(self.rows * SHARE), 1)
        return np.random.default_rng(_SEED).choice(self.rows, n, replace=False)

    @cached_property
    def epoch(self) -> list[NDArray[np.intp]]:
        """All batches of a shuffled pass over all rows."""
        order = np.random.default_rng(SHUFFLE).permutation(self.rows)
        starts = range(0, self.rows, self.batch_rows)
        return [order[start : start + self.batch_rows] for start in starts]

    @property
    def batches(self) -> list[NDArray[np.intp]]:
        """The first batches of the shuffled pass."""
        return self.epoch[: self.n_batches]

    @property
    def few_batches(self) -> list[NDArray[np.intp]]:
        """As many of the batches as hold a tenth of the rows."""
        return self.epoch[: max(round(self.rows * SHARE / self.batch_rows), 1)]

    @cached_property
    def out(self) -> NDArray[Any]:
        """A buffer for the whole matrix, its pages present."""
        return np.ones((self.rows, self.dim), self.dtype)
