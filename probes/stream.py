"""RowStream: the rows of any feature matrix in blocks, also of one larger than memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data
from torch import Tensor

from featstore.errors import InvalidInputError
from featstore.probes.bfloat_rows import BFloatRows
from featstore.probes.inputs import as_tensor, blocks, features_of, is_bfloat, named_rows

#: Rows of a block; what float32 products are summed over before float64 takes the sum.
BLOCK_ROWS = 2048


@dataclass(frozen=True, eq=False)
class RowStream:
    """Feature rows that are read as often as a solver asks for them.

    Attributes
    ----------
    shape
        (n, d).
    dtype
        Of the values as they are stored.
    source
        An array, checked to be finite, or a view, whose batches are checked as they pass.
    memory
        The method ``recall(key, make)`` of rows that remember what was made of them, see
        `featstore.shelf.RememberedRows`; None for rows that do not.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    source: Any
    memory: Callable[[Hashable, Callable[[], Any]], Any] | None = None

    @classmethod
    def of(cls, estimator: Any, X: Any, *, reset: bool, whole: bool = False) -> RowStream:
        """Open a feature matrix.

        Parameters
        ----------
        estimator
            Fitted probe, or the one being fitted: remembers the width and names of the columns.
        X
            Shape (n, d): a view with ``batches()`` or a bfloat16 tensor, which are never read
            whole; or what `featstore.probes.inputs.features_of` takes.
        reset
            True when fitting.
        whole
            Read a view whole after all: where it is gone over many times and fits in memory.

        Raises
        ------
        InvalidInputError
            If there are no rows, or an array holds NaN or infinity.
        """
        memory = getattr(X, "recall", None)
        if is_bfloat(X) and X.ndim == 2:
            X = BFloatRows(X)
        elif whole or not callable(getattr(X, "batches", None)):
            return cls.of_array(features_of(estimator, X, reset=reset), memory=memory)
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        n, d = X.shape
        if n == 0:
            raise InvalidInputError(f"the view has no rows: its shape is {(n, d)}")
        return cls((n, d), np.dtype(X.dtype), X, memory)

    @classmethod
    def of_array(
        cls,
        X: NDArray[np.floating],
        *,
        memory: Callable[[Hashable, Callable[[], Any]], Any] | None = None,
    ) -> RowStream:
        """Open an array (n, d) that is known to be finite; see `RowStream.memory`."""
        n, d = X.shape
        return cls((n, d), X.dtype, X, memory)

    def __len__(self) -> int:
        return self.shape[0]

    def recall(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what was made of these rows under a key before; make it where nobody remembers.

        Parameters
        ----------
        key
            Of everything, beside the rows, that decides what is made.
        make
            What it returns is shared: nobody may change it.
        """
        return make() if self.memory is None else self.memory(key, make)

    def blocks(
        self,
        device: torch.device,
        *,
        size: int = BLOCK_ROWS,
        batch_rows: int | None = None,
        check: bool = True,
    ) -> Iterator[tuple[slice, Tensor]]:
        """Yield consecutive rows as they are stored, on `device`.

        A block may be the caller's own memory, and is of any floating dtype: subtract a float64
        tensor from it, or widen it.

        Parameters
        ----------
        device
            Where to.
        size
            Rows of a block at most.
        batch_rows
            Rows that a view reads at a time; by default what suits it.
        check
            Whether to look for NaN and infinity in a view; rows that passed once need it no more.

        Yields
        ------
        rows, block
            Where the rows are in the matrix, and their values (b, d).

        Raises
        ------
        InvalidInputError
            If a view holds NaN or infinity; names the first such rows.
        """
        for start, batch in self._batches(batch_rows):
            values = as_tensor(batch)
            for rows in blocks(len(batch), size):
                block = values[rows].to(device)
                if check and self._is_view and not block.isfinite().all():
                    self._refuse(start + rows.start, block)
                yield slice(start + rows.start, start + rows.stop), block

    def read(self, device: torch.device) -> Tensor:
        """Read all rows into a new tensor (n, d), float64: for those with few rows."""
        out = torch.empty(self.shape, dtype=torch.float64, device=device)
        for rows, block in self.blocks(device):
            out[rows] = block
        return out

    def take(self, index: NDArray[np.intp]) -> NDArray[Any]:
        """Gather rows, shape (m, d), as they are stored; no more at a time than a view allows."""
        out = np.empty((len(index), self.shape[1]), self.dtype)
        if not self._is_view:
            return np.take(self.source, index, axis=0, out=out, mode="clip")
        ceiling = getattr(self.source, "max_memory", None) or out.nbytes
        at_once = max(ceiling // max(self.shape[1] * self.dtype.itemsize, 1), 1)
        for part in blocks(len(index), at_once):
            out[part] = self.source.take(index[part])
        return out

    @property
    def _is_view(self) -> bool:
        return not isinstance(self.source, np.ndarray)

    def _batches(self, size: int | None) -> Iterator[tuple[int, NDArray[Any]]]:
        start = 0
        # Views of other packages may have batches of one size only.
        sizes = [] if size is None else [size]
        for batch in self.source.batches(*sizes) if self._is_view else [self.source]:
            yield start, batch
            start += len(batch)

    def _refuse(self, start: int, block: Tensor) -> None:
        named = named_rows(
            start + np.flatnonzero(~block.isfinite().all(dim=1).cpu().numpy()),
            getattr(self.source, "ids", None),
        )
        raise InvalidInputError(
            f"rows of X contain NaN or infinity: {named} "
            f"(rows after {start + len(block) - 1} were not looked at); drop these rows, or "
            "extract their features again"
        )
