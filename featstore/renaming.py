"""Renaming as POSIX does not have it: two names exchanged at once, or no name overwritten."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any, Literal

#: Function, "the working folder", and flags of the systems that can do it.
_SYSTEMS = {
    "linux": ("renameat2", -100, {"exchange": 2, "create": 1}),
    "darwin": ("renameatx_np", -2, {"exchange": 2, "create": 4}),
}
#: What systems and file systems answer that cannot do it.
_UNABLE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}


def rename(
    source: str | Path,
    target: str | Path,
    *,
    how: Literal["exchange", "create"],
    dir_fd: int | None = None,
) -> bool:
    """Rename in one step that nobody can see the middle of.

    Parameters
    ----------
    source, target
        The names.
    how
        ``"exchange"``: each gets what the other was; both must exist.  ``"create"``: `target` must
        not exist.
    dir_fd
        Descriptor of the folder that the names are relative to.

    Returns
    -------
    able
        False, and nothing done, where the system or the file system cannot do it.

    Raises
    ------
    OSError
        If a name does not exist, or does, or the disk refuses.
    """
    call = _system_call()
    if call is None:
        return False
    function, here, flags = call
    folder = here if dir_fd is None else dir_fd
    if function(folder, os.fsencode(source), folder, os.fsencode(target), flags[how]) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNABLE:
        return False
    raise OSError(code, os.strerror(code), str(source), None, str(target))


@cache
def _system_call() -> tuple[Any, int, dict[str, int]] | None:
    name, here, flags = _SYSTEMS.get(sys.platform, ("", 0, {}))
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None) if name else None
    if function is None:
        return None
    function.argtypes = [
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_uint,
    ]
    return function, here, flags
