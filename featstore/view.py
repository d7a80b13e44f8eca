"""FeatureView and FusedView: features restricted to rows, read only when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from featstore.errors import InvalidInputError
from featstore.spec import FeatureSpec


class View(Protocol):
    """What probes and analyses need of a feature: a matrix with named rows."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def ids(self) -> NDArray[np.str_]: ...

    @property
    def rows(self) -> NDArray[np.intp]: ...

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def blocks(self) -> tuple[FeatureView, ...]: ...

    def take(self, index: NDArray[Any], *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...

    def batches(self, size: int) -> Iterator[NDArray[Any]]: ...

    def array(self) -> NDArray[Any]: ...


class FeatureView:
    """One feature, restricted to rows of the store.

    Parameters
    ----------
    name, spec
        The feature and how it was made.
    load
        Returns the whole feature, shape (rows of the store, dim); called once, on first use.
    ids
        Ids of all samples of the store.
    rows
        The store's rows that the view shows, in this order.
    """

    def __init__(
        self,
        name: str,
        spec: FeatureSpec,
        load: Callable[[], NDArray[Any]],
        ids: NDArray[np.str_],
        rows: NDArray[np.intp],
    ) -> None:
        self.name = name
        self.spec = spec
        self.rows = rows
        self._load = load
        self._all_ids = ids

    @cached_property
    def _whole(self) -> NDArray[Any]:
        return self._load()

    @property
    def names(self) -> tuple[str, ...]:
        """The feature's name, as a tuple of one."""
        return (self.name,)

    @property
    def blocks(self) -> tuple[FeatureView, ...]:
        """The view itself, as the only block."""
        return (self,)

    @property
    def ids(self) -> NDArray[np.str_]:
        """Sample ids, shape (n,)."""
        return self._all_ids[self.rows]

    @property
    def shape(self) -> tuple[int, int]:
        """(n, dim)."""
        return len(self.rows), self.spec.backbone.dim

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored precision."""
        return np.dtype(self.spec.dtype)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<FeatureView {self.name} {self.shape[0]} × {self.shape[1]} {self.dtype}>"

    def array(self) -> NDArray[Any]:
        """Return all values, shape (n, dim), read-only where nothing had to be copied.

        Consecutive rows are a slice of the mapped store: no byte is read before it is used.
        """
        if self._contiguous:
            start = int(self.rows[0])
            return self._whole[start : start + len(self.rows)]
        return self.take(np.arange(len(self.rows)))

    def take(self, index: NDArray[Any], *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Gather rows of the view.

        Parameters
        ----------
        index
            Positions in the view, shape (m,), each in [0, n).
        out
            Array to fill, shape (m, dim), of the stored dtype; reused buffers save more time
            than the read takes.

        Returns
        -------
        values
            Shape (m, dim); `out` if given.
        """
        rows = self.rows[index]
        # The rows are the store's own, so clipping never happens; it spares take a buffer.
        return np.take(self._whole, rows, axis=0, out=out, mode="clip")

    def batches(self, size: int) -> Iterator[NDArray[Any]]:
        """Yield all values in order, at most `size` rows at a time."""
        return _batches(self, size)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Let NumPy, scikit-learn and torch take the view for a matrix."""
        return np.array(self.array(), dtype=dtype, copy=copy)

    @cached_property
    def _contiguous(self) -> bool:
        return len(self.rows) > 0 and bool((np.diff(self.rows) == 1).all())


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

    def take(self, index: NDArray[Any], *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Gather rows, shape (m, dim); `out` as in `FeatureView.take`."""
        if out is None:
            out = np.empty((len(index), self.shape[1]), self.dtype)
        start = 0
        for block in self.blocks:
            stop = start + block.shape[1]
            out[:, start:stop] = block.take(index)
            start = stop
        return out

    def batches(self, size: int) -> Iterator[NDArray[Any]]:
        """Yield all values in order, at most `size` rows at a time."""
        return _batches(self, size)

    def array(self) -> NDArray[Any]:
        """Return all values, shape (n, dim): one new array, blocks copied into place."""
        out = np.empty(self.shape, self.dtype)
        start = 0
        for block in self.blocks:
            stop = start + block.shape[1]
            out[:, start:stop] = block.array()
            start = stop
        return out

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Let NumPy, scikit-learn and torch take the view for a matrix."""
        if copy is False:
            raise ValueError("a fused view has no single array in memory; it must be copied")
        return np.asarray(self.array(), dtype=dtype)


def _batches(view: FeatureView | FusedView, size: int) -> Iterator[NDArray[Any]]:
    if size < 1:
        raise InvalidInputError(f"a batch needs at least 1 row, got size={size}")
    for start in range(0, len(view), size):
        yield view.take(np.arange(start, min(start + size, len(view))))
