"""Allocator: memory that is freed stays with the process, for what comes next."""

from __future__ import annotations

import ctypes
import os
import platform

#: Numbers of glibc's mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
#: The largest block that glibc takes from a heap, whatever it is told: activations of a few images
#: are smaller, and arrays that are larger go back to the system when they are freed.
_LARGEST = 32 << 20
#: A heap of glibc's threads; one that is empty is kept.
_HEAP = 64 << 20
#: Freed bytes at the end of a heap that are kept; no more than were in use at once.
_KEPT = 1 << 30


def keep_freed_memory() -> bool:
    """Have the C library keep memory that is freed, where it is glibc.

    By default it returns the blocks of large activations to the system as soon as they are freed,
    and the system hands them out again page by page, zeroed: a fifth of the time of a small
    network on a CPU.

    It concerns the process to its end.  So commands and worker processes do it, and no function
    of the library; a script may.  Who has set variables such as MALLOC_TRIM_THRESHOLD_ has
    decided.

    Returns
    -------
    kept
        False where it is another C library's or somebody else's decision.

    Notes
    -----
    The manual page mallopt(3) describes the parameters.

    Examples
    --------
    >>> keep_freed_memory() in (True, False)
    True
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    library = ctypes.CDLL(None)
    settings = ((_MMAP_THRESHOLD, _LARGEST), (_TRIM_THRESHOLD, _KEPT), (_TOP_PAD, _HEAP))
    accepted = [library.mallopt(parameter, value) for parameter, value in settings]
    return all(accepted)
