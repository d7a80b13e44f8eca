"""Check: reading some bytes and saying what is wrong with them; many run side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

from featstore.cores import available_cores
from featstore.progress import progress_bar

Problem = TypeVar("Problem")
#: Checks some bytes, tells the callable how many it has read, and returns what is wrong with them.
Check = Callable[[Callable[[int], None]], Problem | None]
#: Requests under way to a place that answers late.
_REMOTE_THREADS = 16
_MEGABYTE = 1_000_000


class Crew:
    """Threads that work through checks; reading and checksums need no lock of the interpreter.

    Every thread holds a few MiB at a time.
    """

    def __init__(self, pool: ThreadPoolExecutor, advance: Callable[[int], None]) -> None:
        self._pool = pool
        self._advance = advance
        self._lock = Lock()
        self._nbytes = 0

    def run(self, checks: Iterable[Check[Problem]]) -> list[Problem]:
        """Return what is wrong, in the order of the checks."""
        futures = [self._pool.submit(check, self._count) for check in checks]
        found = (future.result() for future in futures)
        return [problem for problem in found if problem is not None]

    def _count(self, nbytes: int) -> None:
        with self._lock:
            before, self._nbytes = self._nbytes, self._nbytes + nbytes
            step = self._nbytes // _MEGABYTE - before // _MEGABYTE
        self._advance(step)


@contextmanager
def crew(nbytes: int, *, is_remote: bool, shown: bool | None) -> Iterator[Crew]:
    """Gather threads for about so many bytes, behind a progress bar."""
    n_threads = _REMOTE_THREADS if is_remote else available_cores()
    with (
        progress_bar("verify", nbytes // _MEGABYTE, unit="MB", shown=shown) as advance,
        ThreadPoolExecutor(n_threads, thread_name_prefix="featstore-verify") as pool,
    ):
        try:
            yield Crew(pool, advance)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
