"""PixelFeed: decoded batches, a few ahead of the encoder, in a bounded ring of buffers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from featstore.cores import available_cores
from featstore.dataset import Dataset
from featstore.errors import UnreadableImageError
from featstore.images import apply, decode
from featstore.preparation import Preparation


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
    """

    def __init__(
        self,
        dataset: Dataset,
        preparations: Sequence[Preparation],
        *,
        workers: int | None = None,
        depth: int = 3,
    ) -> None:
        self._dataset = dataset
        self._preparations = tuple(dict.fromkeys(preparations))
        self._threads = ThreadPoolExecutor(
            workers or available_cores(), thread_name_prefix="decode"
        )
        self._depth = depth

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

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
        ring = deque(
            {
                one: np.empty((longest, one.transform.size, one.transform.size, 3), np.uint8)
                for one in self._preparations
            }
            for _ in range(self._depth)
        )
        ahead = iter(rows)
        flying: deque[tuple[range, dict[Preparation, NDArray[np.uint8]], list[Future[str | None]]]]
        flying = deque()
        while True:
            while ring and (chunk := next(ahead, None)) is not None:
                buffers = ring.popleft()
                futures = [
                    self._threads.submit(self._fill, row, i, buffers) for i, row in enumerate(chunk)
                ]
                flying.append((chunk, buffers, futures))
            if not flying:
                return
            chunk, buffers, futures = flying.popleft()
            reasons = [future.result() for future in futures]
            yield PixelBatch(
                rows=chunk,
                pixels={one: pixels[: len(chunk)] for one, pixels in buffers.items()},
                unreadable={r: why for r, why in zip(chunk, reasons, strict=True) if why},
            )
            ring.append(buffers)

    def _fill(
        self, row: int, position: int, buffers: Mapping[Preparation, NDArray[np.uint8]]
    ) -> str | None:
        """Decode one image into its place; return the reason if it cannot be read."""
        try:
            clean = decode(self._dataset.image(row))
            identity = str(self._dataset.samples.ids[row])
            images = {
                corruption: clean if corruption is None else corruption.apply(clean, identity)
                for corruption in dict.fromkeys(one.corruption for one in buffers)
            }
            for one, pixels in buffers.items():
                apply(images[one.corruption], one.transform, out=pixels[position])
        except UnreadableImageError as error:
            for pixels in buffers.values():
                pixels[position] = 0
            return str(error)
        return None
