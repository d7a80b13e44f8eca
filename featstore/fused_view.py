"""FusedView: several features side by side, restricted to the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from featstore.errors import InvalidInputError
from featstore.view import FeatureView, batches_of, output


class FusedView:
    """Several features side by side, in the given order.

    Parameters
    ----------
    blocks
        Views on the same rows.
    """

    def __init__(self, blocks: Sequence[FeatureView]) -> None:
        self.blocks = tuple(blocks)
        first = self.blocks[0]
        for block in self.blocks[1:]:
            if not np.array_equal(block.rows, first.rows):
                raise InvalidInputError(
                    f"{block.name!r} and {first.name!r} show different rows; fuse views that "
                    "were made together: store.view([...])"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fused features."""
        return tuple(block.name for block in self.blocks)

    @property
    def rows(self) -> NDArray[np.intp]:
        """The store's rows, shape (n,)."""
        return self.blocks[0].rows

    @property
    def ids(self) -> NDArray[np.str_]:
        """Sample ids, shape (n,)."""
        return self.blocks[0].ids

    @property
    def shape(self) -> tuple[int, int]:
        """(n, sum of the blocks' dimensions)."""
        return len(self.rows), sum(block.shape[1] for block in self.blocks)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The widest of the blocks' dtypes."""
        return np.result_type(*(block.dtype for block in self.blocks))

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<FusedView {' + '.join(self.names)} {self.shape[0]} × {self.shape[1]}>"

    @property
    def max_memory(self) -> int | None:
        """Bytes of values that one call may hold in memory, of all blocks together."""
        return self.blocks[0].max_memory

    def take(self, index: NDArray[Any], *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Gather rows, shape (m, dim); see `FeatureView.take`.

        Each block's rows go straight to their columns: no block is copied whole.
        """
        index = np.asarray(index)
        out = output(self, len(index), out)
        for block, columns in self._columns():
            block.gather(index, out[:, columns])
        return out

    def prefetch(self, index: NDArray[Any]) -> bool:
        """Have rows of all blocks read into memory; see `FeatureView.prefetch`."""
        asked = [block.prefetch(index) for block in self.blocks]
        return any(asked)

    def load(self, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Read all values into memory, shape (n, dim); see `FeatureView.load`."""
        return self.take(np.arange(len(self)), out=out)

    def array(self) -> NDArray[Any]:
        """Return all values, shape (n, dim): one new array, blocks copied into place."""
        return self.load()

    def batches(
        self,
        size: int | None = None,
        *,
        shuffle: int | None = None,
        out: NDArray[Any] | None = None,
        drop_last: bool = False,
    ) -> Iterator[NDArray[Any]]:
        """Yield all values, at most `size` rows at a time; see `FeatureView.batches`."""
        return batches_of(self, size, shuffle=shuffle, out=out, drop_last=drop_last)

    def _columns(self) -> Iterator[tuple[FeatureView, slice]]:
        stop = 0
        for block in self.blocks:
            start, stop = stop, stop + block.shape[1]
            yield block, slice(start, stop)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Let NumPy, scikit-learn and torch take the view for a matrix."""
        if copy is False:
            raise ValueError("a fused view has no single array in memory; it must be copied")
        return np.asarray(self.array(), dtype=dtype)
