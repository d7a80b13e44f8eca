"""ReadAhead: a feed of rows that do not fit in memory, gathered by a thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.ceiling import check_ceiling
from featstore.errors import InvalidInputError
from featstore.finite import finite_rows
from featstore.probes.inputs import blocks
from featstore.probes.row_feed import BLOCK_ROWS
from featstore.probes.sample_order import SampleOrder

_BUFFER_BYTES = 64 << 20
_RING = 2  # buffers: one being read, one in use


class RowSource(Protocol):
    """A matrix whose rows can be gathered, such as a view."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """float16 or float32."""
        ...

    def take(self, index: NDArray[Any], *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Gather rows into `out`."""
        ...


class ReadAhead:
    """Rows read ahead by a thread, in pieces of several blocks.

    Parameters
    ----------
    source
        Of n rows.
    order
        Of the training.
    n_steps
        Its length.
    max_memory
        Bytes that the two buffers of rows and `reserved` may take together.
    reserved
        Bytes that the training takes for the rows in use.

    Raises
    ------
    MemoryCeilingError
        If not even buffers of one block fit.
    InvalidInputError
        While reading, if rows hold NaN or infinity; names the first of them.
    """

    def __init__(
        self,
        source: RowSource,
        order: SampleOrder,
        *,
        n_steps: int,
        max_memory: int,
        reserved: int = 0,
    ) -> None:
        self._source, self._order, self._n_steps = source, order, n_steps
        row_bytes = source.shape[1] * source.dtype.itemsize
        block_rows = min(BLOCK_ROWS, order.batch_size)
        check_ceiling(
            reserved + _RING * block_rows * row_bytes,
            max_memory,
            f"a training by batches of {order.batch_size} rows, read ahead {block_rows} at a time,",
        )
        room = min((max_memory - reserved) // _RING, _BUFFER_BYTES)
        self._buffer_rows = min(max(room // row_bytes, block_rows), n_steps * order.batch_size)
        self._blocks = self._read()

    def batch(self, step: int) -> Iterator[Tensor]:
        """Yield a step's rows; steps come in order."""
        for _ in blocks(len(self._order.batch(step)), BLOCK_ROWS):
            yield torch.from_numpy(next(self._blocks))

    def close(self) -> None:
        """End the thread."""
        self._blocks.close()

    def _read(self) -> Generator[NDArray[Any]]:
        free = deque(
            np.empty((self._buffer_rows, self._source.shape[1]), self._source.dtype)
            for _ in range(_RING)
        )
        pieces = self._pieces()
        reading: deque[tuple[list[NDArray[np.int64]], Future[NDArray[Any]]]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="featstore-rows") as thread:
            while True:
                while free and (piece := next(pieces, None)) is not None:
                    reading.append((piece, thread.submit(self._fill, piece, free.popleft())))
                if not reading:
                    return
                piece, filled = reading.popleft()
                buffer, start = filled.result(), 0
                for rows in piece:
                    yield buffer[start : start + len(rows)]
                    start += len(rows)
                free.append(buffer)

    def _pieces(self) -> Iterator[list[NDArray[np.int64]]]:
        """Rows of consecutive blocks, as many as a buffer holds."""
        piece: list[NDArray[np.int64]] = []
        n_rows = 0
        for step in range(self._n_steps):
            batch = self._order.batch(step)
            for part in blocks(len(batch), BLOCK_ROWS):
                rows = batch[part]
                if n_rows + len(rows) > self._buffer_rows:
                    yield piece
                    piece, n_rows = [], 0
                piece.append(rows)
                n_rows += len(rows)
        yield piece

    def _fill(self, piece: list[NDArray[np.int64]], buffer: NDArray[Any]) -> NDArray[Any]:
        index = np.concatenate(piece)
        rows = self._source.take(index, out=buffer[: len(index)])
        bad = index[~finite_rows(rows)]
        if len(bad):
            raise InvalidInputError(
                f"rows of X contain NaN or infinity, such as row {bad[0]}; drop these rows, or "
                "extract their features again"
            )
        return buffer
