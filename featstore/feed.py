"""PixelFeed: decoded batches, a few ahead of the encoder, in a bounded ring of buffers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from featstore.cores import available_cores
from featstore.dataset import Dataset
from featstore.errors import UnreadableImageError
from featstore.preparation import Preparation, prepare
from featstore.watched_threads import WatchedTask, WatchedThreads

#: Seconds for one image, where nobody says otherwise: a slow disk may take some, a decoder in an
#: endless loop takes any number.
DECODE_TIMEOUT_S = 120.0

_Buffers = dict[Preparation, NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class PixelBatch:
    """A batch of images, prepared in every way that some encoder needs.

    Attributes
    ----------
    rows
        Rows of the data set.
    pixels
        For each preparation, uint8 of shape (n, size, size, 3); zeros where unreadable.
    unreadable
        Reason for each row whose image could not be decoded.
    """

    rows: range
    pixels: Mapping[Preparation, NDArray[np.uint8]]
    unreadable: Mapping[int, str]


class PixelFeed:
    """Decodes in threads: Pillow's decoders and resampling release the interpreter's lock.

    Parameters
    ----------
    dataset
        Where the images are.
    preparations
        Each image is decoded once, and corrupted and cut to size for each of these.
    workers
        Decoding threads; the number of cores by default.
    depth
        Batches in flight; bounds the memory.
    timeout_s
        Seconds that reading and decoding one image may take; it then counts as unreadable.

    Raises
    ------
    InvalidInputError
        If `timeout_s` is not a positive number of seconds.
    """

    def __init__(
        self,
        dataset: Dataset,
        preparations: Sequence[Preparation],
        *,
        workers: int | None = None,
        depth: int = 3,
        timeout_s: float = DECODE_TIMEOUT_S,
    ) -> None:
        self._dataset = dataset
        self._preparations = tuple(dict.fromkeys(preparations))
        self._threads = WatchedThreads(
            workers or available_cores(), limit_s=timeout_s, name="decode"
        )
        self._depth = depth
        self._timeout_s = timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.close()

    def batches(self, rows: Iterable[range], *, longest: int) -> Iterator[PixelBatch]:
        """Yield a batch for each range of rows, in order.

        Parameters
        ----------
        rows
            Asked for as many batches ahead as are in flight.
        longest
            Rows of a batch at most.

        Yields
        ------
        batch
            Its pixels are valid until the next one is asked for.
        """
        ring = deque(self._buffers(longest) for _ in range(self._depth))
        ahead = iter(rows)
        flying: deque[tuple[range, _Buffers, list[WatchedTask[str | None]]]] = deque()
        while True:
            while ring and (chunk := next(ahead, None)) is not None:
                buffers = ring.popleft()
                tasks = [
                    self._threads.submit(partial(self._fill, row, i, buffers))
                    for i, row in enumerate(chunk)
                ]
                flying.append((chunk, buffers, tasks))
            if not flying:
                return
            chunk, buffers, tasks = flying.popleft()
            reasons = [self._reason(row, task) for row, task in zip(chunk, tasks, strict=True)]
            yield PixelBatch(
                rows=chunk,
                pixels={one: pixels[: len(chunk)] for one, pixels in buffers.items()},
                unreadable={r: why for r, why in zip(chunk, reasons, strict=True) if why},
            )
            # What hangs may come back to life, and write where it was told to.
            is_left_alone = any(task.given_up for task in tasks)
            ring.append(self._buffers(longest) if is_left_alone else buffers)

    def _buffers(self, longest: int) -> _Buffers:
        return {
            one: np.zeros((longest, one.transform.size, one.transform.size, 3), np.uint8)
            for one in self._preparations
        }

    def _reason(self, row: int, task: WatchedTask[str | None]) -> str | None:
        """Wait for an image; return the reason if it cannot be read."""
        try:
            return self._threads.result(task)
        except TimeoutError:
            if not task.given_up:
                raise
            return (
                f"cannot read image {str(self._dataset.samples.ids[row])!r}: it was not decoded "
                f"within {self._timeout_s:g} s (--decode-timeout)"
            )

    def _fill(
        self, row: int, position: int, buffers: Mapping[Preparation, NDArray[np.uint8]]
    ) -> str | None:
        """Decode one image into its place; return the reason if it cannot be read."""
        try:
            identity = str(self._dataset.samples.ids[row])
            places = {one: pixels[position] for one, pixels in buffers.items()}
            prepare(self._dataset.image(row), identity, places)
        except UnreadableImageError as error:
            for pixels in buffers.values():
                pixels[position] = 0
            return str(error)
        return None
