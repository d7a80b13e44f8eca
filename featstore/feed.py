"""PixelFeed: decoded batches, a few ahead of the encoder, in a bounded ring of buffers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from featstore.cores import available_cores
from featstore.dataset import Dataset
from featstore.device_images import DeviceDecoder, device_file, is_for_device
from featstore.errors import UnreadableImageError
from featstore.preparation import Preparation, prepare
from featstore.watched_threads import WatchedTask, WatchedThreads

#: Seconds for one image, where nobody says otherwise: a slow disk may take some, a decoder in an
#: endless loop takes any number.
DECODE_TIMEOUT_S = 120.0
_NO_LIMIT_S = threading.TIMEOUT_MAX / 2

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


@dataclass(eq=False)
class _Flight:
    """A batch under way; `files` are those that the device decodes, by their positions."""

    rows: range
    buffers: _Buffers
    files: dict[int, bytes] = field(default_factory=dict)
    tasks: list[WatchedTask[str | None]] = field(default_factory=list)


def _ordinary(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.zeros(shape, np.uint8)


class PixelFeed:
    """Decodes in threads: Pillow's decoders and resampling release the interpreter's lock.

    Of images that a device decodes, the threads read the files; one more thread hands these on.

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
    held
        Batches whose pixels stay as they are when the next one is asked for; so many buffers more.
    buffer
        Makes an array of zeros of a shape, uint8, for the pixels of a batch; ordinary memory by
        default.
    timeout_s
        Seconds that reading and decoding one image may take; it then counts as unreadable.
    decode_device
        Where images are decoded whose transforms say ``decode="cuda"``.

    Raises
    ------
    InvalidInputError
        If `timeout_s` is not a positive number of seconds, or there is no such device.
    """

    def __init__(
        self,
        dataset: Dataset,
        preparations: Sequence[Preparation],
        *,
        workers: int | None = None,
        depth: int = 3,
        held: int = 0,
        buffer: Callable[[tuple[int, ...]], NDArray[np.uint8]] | None = None,
        timeout_s: float = DECODE_TIMEOUT_S,
        decode_device: str = "cuda",
    ) -> None:
        self._dataset = dataset
        self._preparations = tuple(dict.fromkeys(preparations))
        self._on_device = {one for one in self._preparations if is_for_device(one.transform)}
        self._decoder = DeviceDecoder(decode_device) if self._on_device else None
        self._decoding = WatchedThreads(
            int(self._decoder is not None), limit_s=_NO_LIMIT_S, name="decode-device"
        )
        self._threads = WatchedThreads(
            workers or available_cores(), limit_s=timeout_s, name="decode"
        )
        self._depth = depth
        self._held = held
        self._buffer = buffer or _ordinary
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
        self._decoding.close()

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
            Its pixels are valid until the next one is asked for, or `held` more.
        """
        ring = deque(self._buffers(longest) for _ in range(self._depth + self._held))
        ahead = iter(rows)
        shown: deque[_Flight] = deque()
        flying: deque[tuple[_Flight, Callable[[], list[str | None]]]] = deque()
        while True:
            while ring and (chunk := next(ahead, None)) is not None:
                flight = _Flight(chunk, ring.popleft())
                flying.append((flight, self._start(flight)))
            if not flying:
                return
            flight, wait = flying.popleft()
            chunk, reasons = flight.rows, wait()
            yield PixelBatch(
                rows=chunk,
                pixels={one: pixels[: len(chunk)] for one, pixels in flight.buffers.items()},
                unreadable={r: why for r, why in zip(chunk, reasons, strict=True) if why},
            )
            shown.append(flight)
            if len(shown) > self._held:
                flight = shown.popleft()
                # What hangs may come back to life, and write where it was told to.
                is_left_alone = any(task.given_up for task in flight.tasks)
                ring.append(self._buffers(longest) if is_left_alone else flight.buffers)

    def _start(self, flight: _Flight) -> Callable[[], list[str | None]]:
        """Have a batch decoded; return what waits for it, and says which images cannot be read."""
        flight.tasks = [
            self._threads.submit(partial(self._fill, row, i, flight.buffers, flight.files))
            for i, row in enumerate(flight.rows)
        ]
        if self._decoder is None:
            return partial(self._reasons, flight)
        decoding = self._decoding.submit(partial(self._decode, flight, self._decoder))
        return partial(self._decoding.result, decoding)

    def _buffers(self, longest: int) -> _Buffers:
        return {
            one: self._buffer((longest, one.transform.size, one.transform.size, 3))
            for one in self._preparations
        }

    def _reasons(self, flight: _Flight) -> list[str | None]:
        """Wait for the images of a batch; return the reason for each that cannot be read."""
        return [
            self._reason(row, task) for row, task in zip(flight.rows, flight.tasks, strict=True)
        ]

    def _decode(self, flight: _Flight, decoder: DeviceDecoder) -> list[str | None]:
        """Wait for the files of a batch, and have the device decode them."""
        reasons = self._reasons(flight)
        # Of an image that was given up, nothing is looked at any more.
        files = {i: file for i, file in list(flight.files.items()) if not reasons[i]}
        places = {one.transform: flight.buffers[one] for one in self._on_device}
        again = {
            i: self._threads.submit(partial(self._fill, flight.rows[i], i, flight.buffers, None))
            for i in decoder.fill(files, places)
        }
        flight.tasks += again.values()
        for i, task in again.items():
            reasons[i] = self._reason(flight.rows[i], task)
        return reasons

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
        self,
        row: int,
        position: int,
        buffers: Mapping[Preparation, NDArray[np.uint8]],
        files: dict[int, bytes] | None,
    ) -> str | None:
        """Decode one image into its place; return the reason if it cannot be read.

        A file for the device is noted in `files`; None has everything decoded here.
        """
        try:
            identity = str(self._dataset.samples.ids[row])
            places = {one: pixels[position] for one, pixels in buffers.items()}
            source = self._dataset.image(row)
            if self._on_device and files is not None:
                source, content = device_file(source)
                if content is not None:
                    files[position] = content
                    places = {p: at for p, at in places.items() if p not in self._on_device}
            if places:
                prepare(source, identity, places)
        except UnreadableImageError as error:
            for pixels in buffers.values():
                pixels[position] = 0
            return str(error)
        return None
