"""New files: complete under their name, or not there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from featstore.durable import PARTIAL, flush_folder, storage_error
from featstore.errors import FeatstoreError


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Fill a file under a temporary name; it takes its own when the block ends well.

    Parameters
    ----------
    path
        Final name; a file of this name is replaced at the end.

    Yields
    ------
    temporary
        In the same folder, with the same suffix; the block writes it.

    Raises
    ------
    StorageError
        If the disk refuses; nothing is left behind.
    """
    # Some writers add their suffix to names that lack it.
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(6)}{PARTIAL}{path.suffix}")
    try:
        yield temporary
        descriptor = os.open(temporary, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
        flush_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, FeatstoreError):
            raise storage_error(error, path) from error
        raise
