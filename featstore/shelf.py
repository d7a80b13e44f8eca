"""Shelf: feature matrices that are read once for many fits, and what probes have made of them."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.batches import batch_rows
from featstore.scaled import ScaledView
from featstore.scaling import BlockScaling, ScalingKind
from featstore.view import View


class RememberedRows:
    """The rows of a `ScaledView`, read once; with a memory of what was computed from them.

    Values and batches are those of the view: whoever computes on them gets the same bits.

    Parameters
    ----------
    source
        The rows.
    room
        Bytes that their copy may take; a larger one is not kept.  None for no ceiling.
    """

    def __init__(self, source: ScaledView, *, room: int | None = None) -> None:
        self._source, self._room = source, room
        self._values: NDArray[Any] | None = None
        self._made: dict[Hashable, Any] = {}

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return self._source.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the scaled values."""
        return self._source.dtype

    @property
    def ids(self) -> NDArray[np.str_]:
        """Sample ids, shape (n,)."""
        return self._source.ids

    @property
    def max_memory(self) -> int | None:
        """Bytes of values that one call may hold in memory; None for no ceiling."""
        return self._source.max_memory

    @property
    def nbytes(self) -> int:
        """What is held: the values, unless they are the store's own memory, and all made of them.

        Things without ``nbytes`` count for nothing.
        """
        values = self._values
        own = 0 if values is None or not values.flags.owndata else values.nbytes
        return own + sum(int(getattr(made, "nbytes", 0)) for made in self._made.values())

    def __len__(self) -> int:
        return len(self._source)

    def array(self) -> NDArray[Any]:
        """Return all rows, scaled; read-only, for it is the same array for everybody."""
        if self._values is None:
            values = self._source.array()
            if not self._keeps:
                return values
            values.flags.writeable = False
            self._values = values
        return self._values

    def take(self, index: NDArray[Any], *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Gather rows, scaled; see `FeatureView.take`."""
        if self._keeps:
            return np.take(self.array(), index, axis=0, out=out, mode="clip")
        return self._source.take(index, out=out)

    def batches(self, size: int | None = None) -> Iterator[NDArray[Any]]:
        """Yield all rows, scaled, at most `size` at a time; see `FeatureView.batches`."""
        if not self._keeps:
            yield from self._source.batches(size)
            return
        rows, values = batch_rows(self._source.view, size, buffers=0), self.array()
        for start in range(0, len(self), rows):
            yield values[start : start + rows]

    def recall(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what was made under a key before, or make it now.

        Parameters
        ----------
        key
            Of everything, beside the rows, that decides what is made.
        make
            Called at most once for a key.  Nobody may change what it returns.

        Examples
        --------
        >>> rows = RememberedRows(None)  # its rows are not needed here
        >>> rows.recall("mean", lambda: 0.5), rows.recall("mean", lambda: 1 / 0)
        (0.5, 0.5)
        """
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    @property
    def _keeps(self) -> bool:
        n, d = self.shape
        return self.max_memory is None and (
            self._room is None or n * d * self.dtype.itemsize <= self._room
        )


class Shelf:
    """Matrices of one store that several fits share, the ones used last.

    Parameters
    ----------
    capacity
        Bytes to hold; what was not used for longest is dropped beyond it.  None for no ceiling.
    """

    def __init__(self, capacity: int | None = None) -> None:
        self._capacity = capacity
        self._rows: OrderedDict[Hashable, RememberedRows] = OrderedDict()
        self._scalings: dict[Hashable, BlockScaling] = {}

    @property
    def nbytes(self) -> int:
        """What is held."""
        return sum(rows.nbytes for rows in self._rows.values())

    def scaling(self, train: View, kind: ScalingKind) -> BlockScaling:
        """Learn a scaling from training rows, once; see `BlockScaling.fit`."""
        key = (_identity(train), kind)
        if key not in self._scalings:
            self._scalings[key] = BlockScaling.fit(train, kind)
        return self._scalings[key]

    def rows(self, view: View, scaling: BlockScaling) -> RememberedRows:
        """Return the scaled rows of a view: the same object for the same rows.

        Parameters
        ----------
        view
            The rows.
        scaling
            What they go through.
        """
        learned = (scaling.mean.tobytes(), scaling.scale.tobytes())
        fitted = hashlib.sha256(b"".join(learned)).hexdigest()
        key = (_identity(view), scaling.kind, fitted)
        found = self._rows.get(key)
        if found is None:
            found = RememberedRows(ScaledView(view, scaling), room=self._capacity)
            self._rows[key] = found
        self._rows.move_to_end(key)
        while self._capacity is not None and self.nbytes > self._capacity and len(self._rows) > 1:
            self._rows.popitem(last=False)
        return found


def _identity(view: View) -> Hashable:
    """Tell views apart by what they show."""
    rows = hashlib.sha256(np.ascontiguousarray(view.rows).tobytes()).hexdigest()
    return tuple((block.name, block.spec.digest) for block in view.blocks), rows
