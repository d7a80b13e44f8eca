"""RangeFile: a file that is read by ranges, wherever it lies."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.folder import Folder
from featstore.location import is_url, open_folder

#: Read at a time where a file is looked through: of a tar file with images of 100 KB, a header,
#: the labels behind the image before it, and little else.
_AHEAD = 1 << 13


class RangeFile(io.RawIOBase):
    """A file at a URL that `featstore.location.open_folder` knows, as a file object.

    Parameters
    ----------
    url
        Of the file.

    Raises
    ------
    InvalidInputError
        If there is no such file.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        parent, _, self._name = url.rstrip("/").rpartition("/")
        self._folder = _folder(parent)
        size = self._folder.size(self._name)
        if size is None:
            raise InvalidInputError(f"there is no {url}")
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; nothing is asked for."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Ask for as many bytes as there is room for."""
        length = min(len(buffer), max(self._size - self._at, 0))
        if length == 0:
            return 0
        content = self._folder.read(self._name, self._at, length)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


def open_ranges(place: str) -> BinaryIO:
    """Open a path or URL for looking through."""
    if is_url(place):
        return io.BufferedReader(RangeFile(place), _AHEAD)
    try:
        return Path(place).open("rb")
    except OSError as error:
        raise InvalidInputError(f"{place} cannot be opened: {error.strerror}") from error


def read_range(place: str, start: int, length: int) -> bytes:
    """Return `length` bytes of a file from `start` on.

    Raises
    ------
    UnreadableImageError
        If the file ends before, or is gone.
    """
    try:
        if is_url(place):
            parent, _, name = place.rstrip("/").rpartition("/")
            content = _folder(parent).read(name, start, length)
        else:
            with Path(place).open("rb") as file:
                file.seek(start)
                content = file.read(length)
    except FileNotFoundError:
        raise UnreadableImageError(f"{place} is gone since it was looked through") from None
    if len(content) != length:
        raise UnreadableImageError(
            f"{place} ends at byte {start + len(content)} of {start + length}; it was cut off or "
            "changed since it was looked through"
        )
    return content


@lru_cache(maxsize=64)
def _folder(url: str) -> Folder:
    """Return the folder at a URL; the same one each time, with its open connections."""
    return open_folder(url)
