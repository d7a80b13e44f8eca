"""Worker processes that do not want to end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from stuck_worker import begin

from featstore.workers import ProcessWorker


def test_a_process_that_holds_the_lock_and_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featstore.workers.process.PATIENCE_S", 0.2)
    worker = ProcessWorker(begin)
    future = worker.submit(tmp_path / "started")
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    began = time.monotonic()
    worker.close()
    assert time.monotonic() - began < 10
    assert future.done()
