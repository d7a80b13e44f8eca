"""Kill -9 at random moments: the store ends up bit-identical, unfinished rows stay unseen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import kill_writers
import pytest

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.mark.parametrize("writers", [1, 3])
def test_killed_writers_resume_bit_identically(tmp_path: Path, writers: int) -> None:
    # In a process of its own: what is small is forked fast.
    options = ["--kills", "12", "--writers", str(writers), "--folder", str(tmp_path)]
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, kill_writers.__file__, *options],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) >= 12


@pytest.mark.slow
@pytest.mark.parametrize("writers", [1, 4])
def test_hundreds_of_killed_writers(tmp_path: Path, writers: int) -> None:
    assert kill_writers.run(tmp_path, kills=500, seed=1, writers=writers) >= 500
