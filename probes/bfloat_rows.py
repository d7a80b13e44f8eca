"""BFloatRows: a bfloat16 tensor as a view, since NumPy has no such numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BATCH_BYTES = 16 << 20


class BFloatRows:
    """Rows of a bfloat16 matrix, widened to float32 a batch at a time; exact.

    Parameters
    ----------
    tensor
        Shape (n, d), bfloat16, on any device.

    Examples
    --------
    >>> import torch
    >>> rows = BFloatRows(torch.tensor([[1.0, 2.0], [3.0, 4.0]]).bfloat16())
    >>> rows.shape, rows.dtype, rows.take(np.array([1]))
    ((2, 2), dtype('float32'), array([[3., 4.]], dtype=float32))
    """

    dtype = np.dtype(np.float32)

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor.detach()

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, d)."""
        return tuple(self._tensor.shape)

    def __len__(self) -> int:
        return len(self._tensor)

    def batches(self, size: int | None = None) -> Iterator[NDArray[np.float32]]:
        """Yield all rows in order, at most `size` at a time."""
        n, d = self._tensor.shape
        size = max(_BATCH_BYTES // (4 * max(d, 1)), 1) if size is None else size
        for start in range(0, n, size):
            yield self._tensor[start : start + size].cpu().float().numpy()

    def take(self, index: NDArray[Any], *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Gather rows."""
        chosen = torch.from_numpy(np.asarray(index, dtype=np.int64)).to(self._tensor.device)
        rows: NDArray[np.float32] = self._tensor[chosen].cpu().float().numpy()
        if out is None:
            return rows
        out[...] = rows
        return out

    def array(self) -> NDArray[np.float32]:
        """Return all rows, widened."""
        rows: NDArray[np.float32] = self._tensor.cpu().float().numpy()
        return rows
