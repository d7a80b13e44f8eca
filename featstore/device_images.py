"""Device images: JPEG files that a CUDA device decodes, resizes and crops, many at a time.

Files travel to the device, and squares of pixels back: 150 kB an image of 224 pixels, so that any
number of encoders, of any library, share them as they share those of a CPU.

nvJPEG is not libjpeg: it doubles the chroma of 4:2:0 files by repeating it, where libjpeg
interpolates.  Everything else is the same code on every device; docs/extraction.md says what it
does to features.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.fast_images import FILTERS, fit
from featstore.images import READ_AGAIN, ImageSource
from featstore.micro_batch import MicroBatch, is_out_of_memory
from featstore.transform import Transform

if TYPE_CHECKING:
    from torch import Tensor

#: Files decoded at a time: of 12 megapixels, they are 0.6 GB of pixels.
_FILES = 16
_START, _END = b"\xff\xd8", b"\xff\xd9"
#: A grey pixel, to see whether there is a decoder.
_SMALL = (8, 8)


class DeviceDecoder:
    """Decodes JPEG files on a device.

    Parameters
    ----------
    device
        ``"cuda"`` or ``"cuda:N"``; the same code runs on ``"cpu"``, with libjpeg.

    Raises
    ------
    InvalidInputError
        If there is no such device, or torchvision was built without nvJPEG.

    Examples
    --------
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (40, 30), (200, 0, 0)).save(file, "JPEG")
    >>> place = np.zeros((1, 8, 8, 3), np.uint8)
    >>> transform = Transform(size=8, resize=8, decode="cuda")
    >>> DeviceDecoder("cpu").fill({0: file.getvalue()}, {transform: place})
    []
    >>> abs(place.mean((0, 1, 2)) - (200, 0, 0)).max() < 3
    np.True_
    """

    def __init__(self, device: str) -> None:
        import torch

        # torchvision (from 0.29 on) refers to torchcodec, whose decoder takes one file at a time.
        # Said once: what restores filters afterwards would do so amid other threads.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torchvision\.io")
        self._device = torch.device(device)
        count = torch.cuda.device_count() if self._device.type == "cuda" else 1
        if (self._device.index or 0) >= count:
            raise InvalidInputError(
                f"decode='cuda' wants a CUDA device, {device!r}, and torch sees {count}; use "
                "--decode fast, or dct for large photos"
            )
        self._files = MicroBatch(_FILES)
        self._stream: torch.cuda.Stream | None = None
        if self._device.type == "cuda":
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        file = io.BytesIO()
        Image.new("L", _SMALL).save(file, "JPEG")
        try:
            self._decode([file.getvalue()])
        except RuntimeError as error:
            raise InvalidInputError(
                f"torchvision cannot decode JPEG files on {device!r}: {error}; use --decode fast"
            ) from error

    def fill(
        self, contents: Mapping[int, bytes], places: Mapping[Transform, NDArray[np.uint8]]
    ) -> list[int]:
        """Decode files, and write their pixels.

        Parameters
        ----------
        contents
            JPEG files, by their positions in the arrays.
        places
            For each transform, where to write, shape (n, size, size, 3).

        Returns
        -------
        failed
            Positions of files that this decoder cannot decode, or resize.

        Raises
        ------
        OutOfMemoryError
            If the device's memory does not suffice for a single image.
        """
        return self._files.run(lambda size: self._in_pieces(contents, places, size))

    def _in_pieces(
        self,
        contents: Mapping[int, bytes],
        places: Mapping[Transform, NDArray[np.uint8]],
        size: int,
    ) -> list[int]:
        import torch

        positions, failed = list(contents), list[int]()
        for start in range(0, len(positions), size):
            piece = positions[start : start + size]
            with self._on_stream():
                images = self._decode_each([contents[position] for position in piece])
                squares = [self._fit(image, list(places)) for image in images]
                failed += [p for p, fitted in zip(piece, squares, strict=True) if not fitted]
                good = [p for p, fitted in zip(piece, squares, strict=True) if fitted]
                columns = zip(*filter(None, squares), strict=True)
                for place, column in zip(places.values(), columns, strict=bool(good)):
                    place[good] = torch.stack(column).permute(0, 2, 3, 1).cpu().numpy()
        return failed

    def _fit(self, image: Tensor | None, transforms: Sequence[Transform]) -> list[Tensor]:
        """Resize and crop an image for each transform; nothing if that cannot be done."""
        if image is None:
            return []
        try:
            return [fit(image, transform, in_floats=True) for transform in transforms]
        except UnreadableImageError:  # too large: whoever decodes it elsewhere will say so
            return []

    def _decode_each(self, contents: Sequence[bytes]) -> list[Tensor | None]:
        """Decode together, and one by one where that fails: it does not say for which."""
        images: list[Tensor | None] = []
        try:
            images += self._decode(contents)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            if len(contents) == 1:
                return [None]
            for content in contents:
                images += self._decode_each([content])
        return images

    def _decode(self, contents: Sequence[bytes]) -> list[Tensor]:
        """Decode to RGB, uint8 of shape (3, h, w)."""
        import torch
        from torchvision.io import ImageReadMode, decode_jpeg

        files = [torch.from_numpy(np.frombuffer(content, np.uint8).copy()) for content in contents]
        images: list[Tensor] = decode_jpeg(files, ImageReadMode.RGB, device=self._device)
        return images

    def _on_stream(self) -> AbstractContextManager[object]:
        """Let the device compute features at the same time."""
        import torch

        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)


def decoding_device(device: str) -> str:
    """Name the device that decodes, beside the one that encodes.

    Examples
    --------
    >>> decoding_device("cuda:1"), decoding_device("auto")
    ('cuda:1', 'cuda')
    """
    return device if device.startswith("cuda") else "cuda"


def is_for_device(transform: Transform) -> bool:
    """Whether the device makes the pixels of a transform; it lacks some filters.

    Examples
    --------
    >>> is_for_device(Transform(decode="cuda")), is_for_device(Transform())
    (True, False)
    """
    return transform.decode == "cuda" and transform.interpolation in FILTERS


def device_file(source: ImageSource) -> tuple[ImageSource, bytes | None]:
    """Read a file that the device is to decode.

    Parameters
    ----------
    source
        Any image.

    Returns
    -------
    source, content
        An image that can be read, again if it was a stream; and the bytes of a whole JPEG file,
        grey or in colour.  None for everything else: Pillow decodes it, or says what is wrong.
    """
    if not isinstance(source, READ_AGAIN):
        source = source.read()
    if isinstance(source, Image.Image | np.ndarray):
        return source, None
    try:
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
        # A file that was cut short may be decoded in part, without an error.
        if not (content.startswith(_START) and content.rstrip(b"\0").endswith(_END)):
            return source, None
        with Image.open(io.BytesIO(content)) as image:
            return source, content if image.mode in ("L", "RGB") else None
    except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return source, None
