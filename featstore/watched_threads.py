"""WatchedThreads: threads with a time limit; one that hangs is given up and replaced."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeVar

from featstore.errors import InvalidInputError

_Result = TypeVar("_Result")

#: Seconds that closing waits for what is under way.
_PATIENCE_S = 5.0


class WatchedTask(Generic[_Result]):
    """One call in a thread; made by `WatchedThreads.submit`."""

    def __init__(self, work: Callable[[], _Result]) -> None:
        self.work = work
        self.future: Future[_Result] = Future()
        self.started: float | None = None
        self.thread: threading.Thread | None = None
        self.given_up = False


class WatchedThreads:
    """Threads for calls into libraries that may never return.

    A thread cannot be stopped from outside.  One that hangs is left behind, another takes its
    place, and neither the end of the work nor the end of the process waits for it.

    Parameters
    ----------
    count
        Threads at work.
    limit_s
        Seconds that a call may take, from the moment a thread begins with it.
    name
        Of the threads.

    Raises
    ------
    InvalidInputError
        If the limit is not a positive number of seconds.

    Examples
    --------
    >>> threads = WatchedThreads(2, limit_s=60, name="decode")
    >>> threads.result(threads.submit(lambda: 6 * 7))
    42
    >>> threads.close()
    """

    def __init__(self, count: int, *, limit_s: float, name: str) -> None:
        if not 0 < limit_s <= threading.TIMEOUT_MAX:
            raise InvalidInputError(
                f"a time limit must be a positive number of seconds, got {limit_s}"
            )
        self._limit_s = limit_s
        self._name = name
        self._tasks: SimpleQueue[WatchedTask[object] | None] = SimpleQueue()
        self._closing = False
        self._threads: list[threading.Thread] = []
        for _ in range(count):
            self._start()

    def submit(self, work: Callable[[], _Result]) -> WatchedTask[_Result]:
        """Have a call made, after those that were submitted before it."""
        task = WatchedTask(work)
        self._tasks.put(task)  # type: ignore[arg-type]  # what it returns is not looked at there
        return task

    def result(self, task: WatchedTask[_Result]) -> _Result:
        """Wait for a call and return what it returned, or raise what it raised.

        Raises
        ------
        TimeoutError
            If the call takes longer than the limit; it may still be going on.
        """
        while True:
            try:
                return task.future.result(timeout=self._left(task))
            except TimeoutError:
                if task.future.done():  # the call itself raised it
                    return task.future.result()
                if self._left(task) > 0:
                    continue
            if not task.given_up:
                task.given_up = True
                self._threads = [thread for thread in self._threads if thread is not task.thread]
                self._start()
            raise TimeoutError(f"not done within {self._limit_s:g} s")

    def close(self) -> None:
        """End the threads, without what was not begun: who waits for that is told so."""
        self._closing = True
        for _ in self._threads:
            self._tasks.put(None)
        deadline = time.monotonic() + _PATIENCE_S
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def _left(self, task: WatchedTask[_Result]) -> float:
        """Seconds until a call has taken too long; the whole limit while it has not begun."""
        if task.started is None:
            return self._limit_s
        return max(task.started + self._limit_s - time.monotonic(), 0)

    def _start(self) -> None:
        # Daemons: the interpreter does not wait for them when it ends.
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            if self._closing:
                task.future.cancel()
                continue
            task.thread = threading.current_thread()
            task.started = time.monotonic()
            try:
                task.future.set_result(task.work())
            except BaseException as error:  # noqa: BLE001  # raised where the result is asked for
                task.future.set_exception(error)
            if task.given_up:
                return  # another thread is in this one's place
