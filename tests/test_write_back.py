"""Write-back: a hint to the system, and never an error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from featstore import write_back


def test_the_bytes_stay_what_they_are(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb", buffering=0) as file:
        for _ in range(3):
            file.write(b"abc" * 5000)
            write_back.begin_write_back(file.fileno())
    assert (tmp_path / "file").read_bytes() == b"abc" * 15000


def test_what_cannot_be_written_back_is_left_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    write_back.begin_write_back(writing)
    os.close(reading)
    os.close(writing)
    write_back.begin_write_back(writing)
    monkeypatch.setattr(write_back, "_sync_file_range", lambda: None)
    write_back.begin_write_back(0)
