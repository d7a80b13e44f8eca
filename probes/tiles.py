"""Tiles: training rows, prepared for a search, a fixed number at a time.

The last bits of a float32 product depend on the shapes that are multiplied.  So the rows of a tile
are counted from the first training row, whatever batches they come in and wherever they lie: a
search over rows that are read as they are needed gives the bits of one over rows in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.probes.inputs import as_tensor, blocks
from featstore.probes.row_maps import RowMap
from featstore.probes.stream import RowStream

_TILE_VALUES = 2**24  # 64 MiB of float32
_TILE_ROWS = 2**15
#: Rows that are prepared together, in float64.
PREPARED_ROWS = 512
#: Products of whole multiples are done by one kernel: equal rows get equal products everywhere.
_ALIGNED = 64


@dataclass(frozen=True, eq=False)
class Tile:
    """Consecutive training rows.

    Attributes
    ----------
    start
        The first of them.
    n
        How many there are.
    values
        Prepared rows, float32, shape (m, d): m is n or a little more, and rows from n on are zero.
    squares
        ‖x‖² of each, shape (m,), for a euclidean search; None for inner products.
    """

    start: int
    n: int
    values: Tensor
    squares: Tensor | None

    @classmethod
    def of(cls, start: int, n: int, values: Tensor, *, euclidean: bool) -> Tile:
        """Add what the search needs to know of the rows."""
        return cls(start, n, values, values.square().sum(dim=1) if euclidean else None)


class Tiles(Protocol):
    """Training rows as a search goes through them."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        ...

    @property
    def euclidean(self) -> bool:
        """Whether the search is for the least distance."""
        ...

    def __iter__(self) -> Iterator[Tile]:
        """Go through the tiles in order; each holds until the next one."""
        ...

    def rows(self, index: NDArray[np.int64]) -> Tensor:
        """Return some prepared rows, shape (m, d)."""
        ...


def tile_rows(n: int, d: int) -> int:
    """Rows of a tile, of n rows with d columns.

    Examples
    --------
    >>> tile_rows(60_000, 1280), tile_rows(100, 1280)
    (12800, 128)
    """
    rows = max(min(_TILE_VALUES // d, _TILE_ROWS) // PREPARED_ROWS, 1) * PREPARED_ROWS
    return min(rows, aligned(n))


def fixed_blocks(
    stream: RowStream, device: torch.device, size: int
) -> Iterator[tuple[int, Tensor]]:
    """Yield the first row and the values of blocks of `size` rows, however the rows come.

    The last block may have fewer; a block holds until the next one.

    Raises
    ------
    InvalidInputError
        If a view holds NaN or infinity.
    """
    n, d = stream.shape
    buffer: Tensor | None = None
    filled = 0
    for at, block in stream.blocks(device, size=size):
        if filled == 0 and (len(block) == size or at.stop == n):
            yield at.start, block
            continue
        if buffer is None:
            buffer = torch.empty(min(size, n), d, dtype=block.dtype, device=device)
        done = 0
        while done < len(block):
            step = min(size - filled, len(block) - done)
            buffer[filled : filled + step] = block[done : done + step]
            filled, done = filled + step, done + step
            if filled == size or at.start + done == n:
                yield at.start + done - filled, buffer[:filled]
                filled = 0


class HeldTiles:
    """Prepared rows in memory: n d float32 numbers.

    Parameters
    ----------
    stream
        Training rows, shape (n, d); not kept.
    prepare
        What they go through, in float64.
    euclidean
        Whether the search is for the least distance.
    device
        Where they are kept.
    """

    def __init__(
        self, stream: RowStream, prepare: RowMap, *, euclidean: bool, device: torch.device
    ) -> None:
        self.shape = n, d = stream.shape
        self.euclidean = euclidean
        self._values = torch.zeros(aligned(n), d, device=device)
        for start, block in fixed_blocks(stream, device, PREPARED_ROWS):
            self._values[start : start + len(block)] = prepare(block)
        size = tile_rows(n, d)
        self._tiles = [
            Tile.of(
                start,
                min(size, n - start),
                self._values[start : start + size],
                euclidean=euclidean,
            )
            for start in range(0, n, size)
        ]

    def __iter__(self) -> Iterator[Tile]:
        """Go through the tiles in order."""
        return iter(self._tiles)

    def rows(self, index: NDArray[np.int64], *, out: Tensor | None = None) -> Tensor:
        """Return some prepared rows, shape (m, d)."""
        chosen = torch.from_numpy(index).to(self._values.device)
        return torch.index_select(self._values, 0, chosen, out=out)


@dataclass(frozen=True, eq=False)
class StreamedTiles:
    """Prepared rows that are read and prepared anew by every search.

    Attributes
    ----------
    stream
        Training rows, shape (n, d).
    prepare
        What they go through, in float64.
    euclidean
        Whether the search is for the least distance.
    device
        Where the search is.
    """

    stream: RowStream
    prepare: RowMap
    euclidean: bool
    device: torch.device

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return self.stream.shape

    def __iter__(self) -> Iterator[Tile]:
        """Go through the tiles in order; each holds until the next one."""
        n, d = self.shape
        size = tile_rows(n, d)
        values = torch.zeros(size, d, device=self.device)
        for start, block in fixed_blocks(self.stream, self.device, PREPARED_ROWS):
            first, stop = start % size, start % size + len(block)
            values[first:stop] = self.prepare(block)
            if stop == size or start + len(block) == n:
                values[stop : aligned(stop)] = 0.0
                rows = values[: aligned(stop)]
                yield Tile.of(start - first, stop, rows, euclidean=self.euclidean)

    def rows(self, index: NDArray[np.int64]) -> Tensor:
        """Read some rows and prepare them, shape (m, d)."""
        source, d = self.stream.source, self.shape[1]
        out = torch.empty(len(index), d, device=self.device)
        order = np.argsort(index)  # as they lie on the disk
        for part in blocks(len(order), self._gathered_rows):
            chosen = index[order[part]]
            raw = source[chosen] if isinstance(source, np.ndarray) else source.take(chosen)
            place = torch.from_numpy(order[part]).to(self.device)
            out[place] = self.prepare(as_tensor(raw).to(self.device)).float()
        return out

    @property
    def _gathered_rows(self) -> int:
        """Rows to ask for at a time, within the view's own ceiling."""
        ceiling = getattr(self.stream.source, "max_memory", None)
        if ceiling is None:
            return PREPARED_ROWS
        row_bytes = self.shape[1] * self.stream.dtype.itemsize
        return int(min(max(ceiling // row_bytes, 1), PREPARED_ROWS))


def aligned(n: int) -> int:
    """Return the next multiple of what one kernel of a product does together.

    Examples
    --------
    >>> aligned(1), aligned(64), aligned(65)
    (64, 64, 128)
    """
    return -(-n // _ALIGNED) * _ALIGNED
