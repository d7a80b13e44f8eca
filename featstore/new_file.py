"""New files: complete under their name, or not there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from featstore.durable import PARTIAL, flush_folder, storage_error
from featstore.errors import FeatstoreError, InvalidInputError
from featstore.suggest import did_you_mean


def checked_target(
    out: str | Path, suffixes: Collection[str], *, what: str, overwrite: bool
) -> Path:
    """Return the path of a file that may be written.

    Parameters
    ----------
    out
        Where to.
    suffixes
        Those of formats that there are.
    what
        Is exported, for the message, e.g. ``"a run"``.
    overwrite
        Whether a file may be replaced.

    Raises
    ------
    InvalidInputError
        If the suffix is not known, the file exists, or its folder does not.
    """
    path = Path(out)
    if path.suffix.lower() not in suffixes:
        raise InvalidInputError(
            f"cannot export {what} to {path.name}: the suffix says the "
            f"format. {did_you_mean(path.suffix, suffixes)}"
        )
    if path.exists() and not overwrite:
        raise InvalidInputError(f"{path} exists; replace it with --overwrite, or name another")
    if not path.parent.is_dir():
        raise InvalidInputError(f"there is no folder {path.parent}; make it first")
    return path


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
