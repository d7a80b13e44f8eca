"""SampleOrder: which rows every step of a training sees."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError


class SampleOrder:
    """A permutation of the rows per epoch, from the seed and the epoch's number alone.

    Where the rows lie, the size of the batches and the steps taken before are of no influence:
    trainings from memory, from disk and resumed ones see the same rows.

    Parameters
    ----------
    n
        Rows.
    batch_size
        Rows of a step; all of them where there are fewer.
    seed
        Of the permutations.
    drop_last
        Leave out the last batch of an epoch if it is short.

    Examples
    --------
    >>> order = SampleOrder(5, batch_size=2, seed=0)
    >>> order.steps_per_epoch, [len(order.batch(step)) for step in range(4)]
    (3, [2, 2, 1, 2])
    """

    def __init__(self, n: int, *, batch_size: int, seed: int, drop_last: bool = False) -> None:
        if batch_size < 1:
            raise InvalidInputError(f"batch_size must be at least 1, got {batch_size}")
        self.n, self.batch_size, self.seed = n, min(batch_size, n), seed
        self.steps_per_epoch = n // self.batch_size if drop_last else -(-n // self.batch_size)
        # Two: at the turn of an epoch, reading ahead and training are in different ones.
        self.epoch = lru_cache(maxsize=2)(self._permutation)

    def batch(self, step: int) -> NDArray[np.int64]:
        """Rows of a step, counted from 0 through all epochs, shape (batch_size,) at most."""
        epoch, position = divmod(step, self.steps_per_epoch)
        start = position * self.batch_size
        return self.epoch(epoch)[start : start + self.batch_size]

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        permutation: NDArray[np.int64] = np.random.default_rng([self.seed, epoch]).permutation(
            self.n
        )
        return permutation
