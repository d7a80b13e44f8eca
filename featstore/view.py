"""FeatureView: a feature restricted to rows, read only when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from featstore.batches import batch_positions, batch_rows, iterate
from featstore.ceiling import check_ceiling
from featstore.errors import InvalidInputError
from featstore.look_ahead import DEPTH
from featstore.rows import Rows
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

    @property
    def max_memory(self) -> int | None: ...

    def __len__(self) -> int: ...

    def take(self, index: NDArray[Any], *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...

    def prefetch(self, index: NDArray[Any]) -> bool: ...

    def batches(
        self,
        size: int | None = None,
        *,
        shuffle: int | None = None,
        out: NDArray[Any] | None = None,
        drop_last: bool = False,
    ) -> Iterator[NDArray[Any]]: ...

    def array(self) -> NDArray[Any]: ...

    def load(self, *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...


class FeatureView:
    """One feature, restricted to rows of the store.

    Parameters
    ----------
    name, spec
        The feature and how it was made.
    open_rows
        Gives access to the values, of all rows of the store; called once, on first use.
    ids
        Ids of all samples of the store.
    rows
        The store's rows that the view shows, in this order.
    max_memory
        Bytes of values that one call may hold in memory; None for no ceiling.  Pages of mapped
        files do not count: the system takes them back when it needs them.
    """

    def __init__(
        self,
        name: str,
        spec: FeatureSpec,
        open_rows: Callable[[], Rows],
        ids: NDArray[np.str_],
        rows: NDArray[np.intp],
        *,
        max_memory: int | None = None,
    ) -> None:
        self.name = name
        self.spec = spec
        self.rows = rows
        self.max_memory = max_memory
        self._open_rows = open_rows
        self._all_ids = ids

    @cached_property
    def _source(self) -> Rows:
        return self._open_rows()

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

        Raises
        ------
        MemoryCeilingError
            If the rows have to be copied, and `max_memory` is too small for that.
        """
        window = self.window(0, len(self.rows))
        return self.load() if window is None else window

    def load(self, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Read all values into memory, shape (n, dim).

        Parameters
        ----------
        out
            Array to fill, of this shape and the stored dtype; a new one by default.

        Raises
        ------
        MemoryCeilingError
            If a new array would be larger than `max_memory`.
        """
        if not self._contiguous:
            return self.take(np.arange(len(self.rows)), out=out)
        out = output(self, len(self.rows), out)
        self._source.read(int(self.rows[0]), out)
        return out

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

        Raises
        ------
        MemoryCeilingError
            If a new array would be larger than `max_memory`.
        """
        index = np.asarray(index)
        out = output(self, len(index), out)
        self.gather(index, out)
        return out

    def prefetch(self, index: NDArray[Any]) -> bool:
        """Have rows read into memory that `take` will soon be asked for; does not wait for them.

        Worth its while for batches whose rows one chooses oneself: ask for those of the next batch
        before taking this one.  `batches` does so.  Nothing happens where the rows are in memory,
        and on object storage.

        Parameters
        ----------
        index
            Positions in the view, shape (m,), each in [0, n).

        Returns
        -------
        asked
            Whether anything was asked for.
        """
        return self._source.prefetch(self.rows[index])

    def gather(self, index: NDArray[Any], out: NDArray[Any]) -> None:
        """Gather rows into an array, shape (m, dim), that may have gaps and another dtype."""
        self._source.take(self.rows[index], out)

    def window(self, start: int, stop: int) -> NDArray[Any] | None:
        """Return rows [start, stop) of the view without a copy; None where that cannot be."""
        if not self._contiguous:
            return None
        first = int(self.rows[0])
        return self._source.window(first + start, first + stop)

    def batches(
        self,
        size: int | None = None,
        *,
        shuffle: int | None = None,
        out: NDArray[Any] | None = None,
        drop_last: bool = False,
    ) -> Iterator[NDArray[Any]]:
        """Yield all values, at most `size` rows at a time.

        Parameters
        ----------
        size
            Rows of a batch; by default what suits the view: about 16 MiB, or less where
            `max_memory` asks for that.
        shuffle
            Seed of a random order, the same wherever the values lie; in order without it.
        out
            Array that every batch is written to, shape (size, dim), of the stored dtype.  Without
            it, consecutive rows come as slices of the mapped store, read-only; any others as an
            array of their own, while the next one is gathered.
        drop_last
            Leave out a last batch of fewer rows.

        Raises
        ------
        InvalidInputError
            If `size` is below 1, or `out` has another shape or dtype.
        MemoryCeilingError
            If two batches are larger than `max_memory`.
        """
        if shuffle is None and out is None and self._contiguous:
            first = int(self.rows[0])
            rows = batch_rows(self, size, buffers=0)
            whole = len(self) - len(self) % rows if drop_last else len(self)
            windows = self._source.scan(first, first + whole, rows)
            if windows is not None:
                return windows
        return batches_of(self, size, shuffle=shuffle, out=out, drop_last=drop_last)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Let NumPy, scikit-learn and torch take the view for a matrix."""
        return np.array(self.array(), dtype=dtype, copy=copy)

    @cached_property
    def _contiguous(self) -> bool:
        return len(self.rows) > 0 and bool((np.diff(self.rows) == 1).all())


def output(view: View, m: int, out: NDArray[Any] | None) -> NDArray[Any]:
    """Return the array that `m` rows of a view go to.

    Raises
    ------
    InvalidInputError
        If `out` has another shape or dtype.
    MemoryCeilingError
        If a new array would be larger than the view's `max_memory`.
    """
    shape = (m, view.shape[1])
    if out is None:
        check_ceiling(shape[0] * shape[1] * view.dtype.itemsize, view.max_memory, f"{m} rows")
        return np.empty(shape, view.dtype)
    if out.shape != shape or out.dtype != view.dtype:
        raise InvalidInputError(
            f"out must be {shape} of {view.dtype}, got {out.shape} of {out.dtype}"
        )
    return out


def batches_of(
    view: View,
    size: int | None,
    *,
    shuffle: int | None,
    out: NDArray[Any] | None,
    drop_last: bool,
) -> Iterator[NDArray[Any]]:
    """Yield a view's values; see `FeatureView.batches`."""
    # Checked here, not in the generator: mistakes are to show at the call.
    if out is not None and size is None:
        size = len(out)
    size = batch_rows(view, size, buffers=DEPTH if out is None else 0)
    positions = batch_positions(len(view), size, shuffle=shuffle, drop_last=drop_last)
    return iterate(view, positions, out, scattered=shuffle is not None)
