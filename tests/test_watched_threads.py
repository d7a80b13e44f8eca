"""Threads of which some hang."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError

import pytest

from featstore.errors import InvalidInputError
from featstore.watched_threads import WatchedTask, WatchedThreads


def test_results_and_errors_come_back() -> None:
    threads = WatchedThreads(2, limit_s=60, name="test")
    tasks = [threads.submit(lambda n=n: n * n) for n in range(50)]
    failing = threads.submit(lambda: [][0])
    slow_service = threads.submit(_time_out)
    assert [threads.result(task) for task in tasks] == [n * n for n in range(50)]
    with pytest.raises(IndexError):
        threads.result(failing)
    with pytest.raises(TimeoutError, match="its own"):
        threads.result(slow_service)
    assert not slow_service.given_up
    threads.close()


def _time_out() -> None:
    raise TimeoutError("its own")


def test_a_thread_that_hangs_is_replaced_and_what_waits_goes_on() -> None:
    gate = threading.Event()
    threads = WatchedThreads(1, limit_s=0.2, name="test")
    hanging = threads.submit(gate.wait)
    waiting = [threads.submit(lambda n=n: n) for n in range(3)]
    with pytest.raises(TimeoutError, match=r"not done within 0\.2 s"):
        threads.result(hanging)
    assert [threads.result(task) for task in waiting] == [0, 1, 2]
    gate.set()
    assert hanging.future.result(timeout=60) is True  # it came back to life after all
    threads.close()


def test_waiting_in_the_queue_does_not_count() -> None:
    threads = WatchedThreads(1, limit_s=0.3, name="test")
    tasks = [threads.submit(lambda: time.sleep(0.12)) for _ in range(5)]
    assert threads.result(tasks[-1]) is None
    assert not any(task.given_up for task in tasks)
    threads.close()


def test_the_process_ends_while_a_thread_hangs() -> None:
    code = """
import threading
from featstore.watched_threads import WatchedTask, WatchedThreads
threads = WatchedThreads(1, limit_s=0.1, name="test")
try:
    threads.result(threads.submit(threading.Event().wait))
except TimeoutError:
    print("given up")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "given up\n")


@pytest.mark.parametrize("limit", [0, -1, float("inf"), float("nan")])
def test_a_limit_is_a_number_of_seconds(limit: float) -> None:
    with pytest.raises(InvalidInputError, match="positive number of seconds"):
        WatchedThreads(1, limit_s=limit, name="test")


def test_who_waits_for_what_was_not_begun_is_told_when_it_closes() -> None:
    gate = threading.Event()
    threads = WatchedThreads(1, limit_s=60, name="test")
    tasks = [threads.submit(gate.wait) for _ in range(3)]
    waiting = threading.Thread(target=lambda: told.append(_outcome(threads, tasks[2])))
    told: list[type[BaseException] | None] = []
    waiting.start()
    threading.Timer(0.1, gate.set).start()
    threads.close()
    waiting.join(10)
    assert told == [CancelledError]


def _outcome(threads: WatchedThreads, task: WatchedTask[bool]) -> type[BaseException] | None:
    try:
        threads.result(task)
    except CancelledError as error:
        return type(error)
    return None
