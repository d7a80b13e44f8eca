"""Files of other tools: in the order they were meant, and with one error where they are damaged."""

from __future__ import annotations

import pickle
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import FeatstoreError, InvalidInputError

_DAMAGE = (
    OSError,
    ValueError,  # NumPy, and pyarrow's ArrowInvalid
    KeyError,
    EOFError,
    RuntimeError,  # torch, and h5py
    NotImplementedError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def readable(path: Path, kind: str) -> Iterator[None]:
    """Turn what libraries raise on a damaged file into one message.

    Raises
    ------
    InvalidInputError
        Naming the file and the reason.
    """
    try:
        yield
    except FeatstoreError:
        raise
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
        raise InvalidInputError(
            f"{path} cannot be read as {kind}: {reason}. Is the file complete?"
        ) from error


def guarded(
    path: Path, kind: str, read: Callable[[int, int], NDArray[Any]]
) -> Callable[[int, int], NDArray[Any]]:
    """Return a reader of rows whose failures name the file, also long after it was opened."""
    return partial(_read, path, kind, read)


def _read(
    path: Path, kind: str, read: Callable[[int, int], NDArray[Any]], start: int, stop: int
) -> NDArray[Any]:
    with readable(path, kind):
        return read(start, stop)


def in_order(folder: Path, *suffixes: str) -> list[Path]:
    """Files of a folder with these suffixes, part 2 before part 10."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in suffixes]
    return sorted(
        (path for path in found if path.is_file() and not path.name.startswith(".")), key=_natural
    )


def as_text(array: NDArray[Any]) -> Any:
    """Return an array of bytes or objects as text where it is text."""
    if array.dtype.kind in "OS":
        return [_decoded(entry) for entry in array.tolist()]
    return array


def lines(path: Path) -> list[str]:
    """Return the lines of a text file, as editors of all systems write them."""
    return path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")


def refuse_objects(dtype: np.dtype[Any], where: object) -> None:
    """Raise `InvalidInputError` for an array of Python objects, which only a pickle can hold."""
    if dtype.hasobject:
        raise InvalidInputError(
            f"{where} holds Python objects: a pickle, which could run code and is refused; save it "
            "as text or numbers, array.astype(str) or array.astype('float32')"
        )


def _decoded(entry: Any) -> Any:
    """Return bytes as text where they are UTF-8."""
    if isinstance(entry, bytes):
        with suppress(UnicodeDecodeError):
            return entry.decode()
    return entry


def _natural(path: Path) -> list[tuple[int, int | str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(1, int(part)) if part.isdigit() else (0, part) for part in parts]
