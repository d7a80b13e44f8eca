"""Free memory: of the machine, and of control groups with a limit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from featstore.free_memory import free_memory

_MEMINFO = {"proc/meminfo": "MemTotal: 1000 kB\nMemAvailable:    800 kB\nBuffers:  1 kB\n"}
_V2 = {"proc/self/cgroup": "0::/jobs/mine\n"}
_V1 = {"proc/self/cgroup": "9:name=systemd:/\n4:memory:/jobs/mine\n0::/\n"}


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def version_2(group: str, limit: str) -> dict[str, str]:
    folder = f"sys/fs/cgroup/{group}"
    return {
        f"{folder}/memory.max": f"{limit}\n",
        f"{folder}/memory.current": "70000\n",
        f"{folder}/memory.stat": "anon 60000\ninactive_file 5000\n",
    }


def version_1(group: str, limit: str) -> dict[str, str]:
    folder = f"sys/fs/cgroup/memory/{group}"
    return {
        f"{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"{folder}/memory.usage_in_bytes": "70000\n",
        f"{folder}/memory.stat": "inactive_file 1\ntotal_rss 60000\ntotal_inactive_file 5000\n",
    }


def test_what_the_machine_has_available(tmp_path: Path) -> None:
    assert free_memory(write(tmp_path, _MEMINFO)) == 800 * 1024


@pytest.mark.parametrize(("group", "told"), [(version_2, _V2), (version_1, _V1)])
@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max", 800 * 1024),
        ("9223372036854771712", 800 * 1024),
        ("90000", 90000 - 70000 + 5000),
        ("9000000", 800 * 1024),
        ("10", 0),
    ],
)
def test_a_group_leaves_less(tmp_path: Path, group, told, limit: str, expected: int) -> None:
    write(tmp_path, {**_MEMINFO, **told, **group("jobs/mine", limit)})
    assert free_memory(tmp_path) == expected


@pytest.mark.parametrize(("group", "told"), [(version_2, _V2), (version_1, _V1)])
def test_a_group_above_leaves_less_still(tmp_path: Path, group, told) -> None:
    write(tmp_path, {**_MEMINFO, **told, **group("jobs", "80000"), **group("jobs/mine", "90000")})
    assert free_memory(tmp_path) == 80000 - 70000 + 5000


def test_a_container_that_is_told_the_path_of_its_host(tmp_path: Path) -> None:
    told = {"proc/self/cgroup": "4:memory:/docker/abc\n"}
    write(tmp_path, {**_MEMINFO, **told, **version_1("", "90000")})
    assert free_memory(tmp_path) == 90000 - 70000 + 5000


def test_where_nothing_tells(tmp_path: Path) -> None:
    assert free_memory(tmp_path) == 1 << 30


def test_this_machine() -> None:
    assert free_memory() > 0
