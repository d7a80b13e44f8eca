"""Kill -9 at random moments: the store ends up bit-identical, unfinished rows stay unseen."""

from __future__ import annotations

from pathlib import Path

import kill_writers
import pytest

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.mark.parametrize("writers", [1, 3])
def test_killed_writers_resume_bit_identically(tmp_path: Path, writers: int) -> None:
    assert kill_writers.run(tmp_path, kills=12, writers=writers) >= 12


@pytest.mark.slow
@pytest.mark.parametrize("writers", [1, 4])
def test_hundreds_of_killed_writers(tmp_path: Path, writers: int) -> None:
    assert kill_writers.run(tmp_path, kills=500, seed=1, writers=writers) >= 500
