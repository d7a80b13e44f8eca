"""Memory that is freed and asked for again, seen by the page faults of a process of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import featstore

SCRIPT = """
import resource, sys, threading
from featstore.allocator import keep_freed_memory

kept = sys.argv[1] == "keep" and keep_freed_memory()

def use() -> None:
    for _ in range(10):
        blocks = [b"x" * (20 << 20) for _ in range(3)]

for thread in (threading.Thread(target=use), threading.Thread(target=use)):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    thread.start()
    thread.join()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str, **variables: str) -> tuple[int, int]:
    """Return whether memory was kept, and page faults of a thread that is not the first."""
    environment = {name: text for name, text in os.environ.items() if "MALLOC" not in name}
    path = str(Path(featstore.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, how],
        env={**environment, "PYTHONPATH": path, **variables},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    kept, count = map(int, done.stdout.split())
    return kept, count


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_blocks_that_were_freed_are_used_again() -> None:
    _, usual = faults("leave")
    kept, count = faults("keep")
    pages = 10 * 3 * (20 << 20) // os.sysconf("SC_PAGE_SIZE")
    assert usual > pages / 2  # else there is nothing to do any more
    assert kept
    assert count < pages / 5
    assert faults("keep", MALLOC_ARENA_MAX="4")[0] == 0
