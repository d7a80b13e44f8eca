"""Free memory: of the machine, and of a control group with a limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from featstore.free_memory import free_memory


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:       1000 kB\nMemAvailable:    800 kB\nBuffers:  1 kB\n")
    return path


def test_what_the_machine_has_available(machine: Path, tmp_path: Path) -> None:
    assert free_memory(machine, tmp_path / "no group") == 800 * 1024


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("max", 800 * 1024), ("90000", 90000 - 70000 + 5000), ("9000000", 800 * 1024), ("10", 0)],
)
def test_a_group_leaves_less(machine: Path, tmp_path: Path, limit: str, expected: int) -> None:
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("70000\n")
    (tmp_path / "memory.stat").write_text("anon 60000\ninactive_file 5000\n")
    assert free_memory(machine, tmp_path) == expected


def test_where_nothing_tells(tmp_path: Path) -> None:
    assert free_memory(tmp_path / "none", tmp_path / "none") == 1 << 30


def test_this_machine() -> None:
    assert free_memory() > 0
