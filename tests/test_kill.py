"""Kill -9 at random moments: the store ends up bit-identical, unfinished rows stay unseen."""

from __future__ import annotations

from pathlib import Path

import kill_writers
import pytest


def test_killed_writers_resume_bit_identically(tmp_path: Path) -> None:
    assert kill_writers.run(tmp_path, kills=32) >= 32


@pytest.mark.slow
def test_hundreds_of_killed_writers(tmp_path: Path) -> None:
    assert kill_writers.run(tmp_path, kills=500, seed=1) >= 500
