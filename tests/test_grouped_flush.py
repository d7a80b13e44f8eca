"""Names that several threads give are flushed together; errors reach everybody concerned."""

from __future__ import annotations

import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from featstore.errors import StorageError
from featstore.grouped_flush import GroupedFlush


class Disk:
    """Flushes slowly enough for others to come meanwhile.

    Parameters
    ----------
    error
        What the second flush meets.
    """

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.flushes: list[set[str]] = []

    def flush(self, *names: str) -> None:
        self.flushes.append(set(names))
        if len(self.flushes) == 1:
            self.begun.set()
            assert self.go_on.wait(10)
        elif len(self.flushes) == 2 and self.error is not None:
            raise self.error


def grouped(disk: Disk) -> list[BaseException | None]:
    """Flush a name, and four more that are given meanwhile; return what came of each."""
    flush = GroupedFlush(disk.flush)
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(flush, "first")
        assert disk.begun.wait(10)
        others = [pool.submit(flush, f"{i}") for i in range(4)]
        while len(flush._waiting) < 4:
            pass
        disk.go_on.set()
        return [future.exception() for future in [first, *others]]


def test_those_who_come_meanwhile_share_the_next_flush() -> None:
    disk = Disk()
    assert grouped(disk) == [None] * 5
    assert disk.flushes == [{"first"}, {"0", "1", "2", "3"}]


def test_an_error_is_told_to_everybody_it_is_about() -> None:
    error = StorageError("the disk refuses")
    assert grouped(Disk(error)) == [None, *[error] * 4]


def test_an_interruption_is_one_thread_s_alone() -> None:
    disk = Disk(KeyboardInterrupt())
    outcomes = grouped(disk)
    assert [type(outcome) for outcome in outcomes].count(KeyboardInterrupt) == 1
    assert outcomes.count(None) == 4
    assert disk.flushes[1] - disk.flushes[2]
    assert len(disk.flushes[2]) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_does_not_wait_for_its_parent_s_threads() -> None:
    disk = Disk()
    flush = GroupedFlush(disk.flush)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(flush, "first")
        assert disk.begun.wait(10)
        with warnings.catch_warnings(action="ignore"):  # forking with threads is the point
            child = os.fork()
        if child == 0:
            flush("of the child")
            os._exit(0 if disk.flushes[-1] == {"of the child"} else 1)
        assert os.waitpid(child, 0)[1] == 0
        disk.go_on.set()
        first.result()
