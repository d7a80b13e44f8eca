"""Control groups: the cores and the memory that a container or a batch system leaves a process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Version 1 writes "no limit" as the largest multiple of a page.
_UNLIMITED = 1 << 60
#: Files of limit and use, and what cached files are called that the system gives up at once: in
#: version 2, and in version 1, whose plain names leave out the groups below.
_MEMORY = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


@dataclass(frozen=True)
class Limits:
    """What a process may use; None where nothing limits it.

    Attributes
    ----------
    cores
        Processor time in seconds for each second of the clock.
    memory
        Bytes.
    free
        Bytes that the limits leave now; cached files, which the system gives up at once, count as
        free.
    """

    cores: float | None
    memory: int | None
    free: int | None = None


def cgroup_limits(root: Path = Path("/")) -> Limits:
    """Read the limits of the process's control group and of all groups above it.

    Both versions of Linux's control groups are read (``cpu.max`` and ``memory.max``;
    ``cpu.cfs_quota_us`` and ``memory.limit_in_bytes``); elsewhere there are no limits.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` are.
    """
    cores: list[float] = []
    memory: list[int] = []
    free: list[int] = []
    for group in _groups(root):
        quota, period = [*(_words(group / "cpu.max") or ["max"]), "100000"][:2]
        if quota == "max":
            quota = (_words(group / "cpu.cfs_quota_us") or ["-1"])[0]
            period = (_words(group / "cpu.cfs_period_us") or ["100000"])[0]
        if int(quota) > 0:
            cores.append(int(quota) / int(period))
        for limit, left in _memory(group):
            memory.append(limit)
            free += [] if left is None else [left]
    return Limits(min(cores, default=None), min(memory, default=None), min(free, default=None))


def _memory(group: Path) -> Iterator[tuple[int, int | None]]:
    """Yield a group's limit, and what it leaves."""
    for limit_name, used_name, cached_name in _MEMORY:
        limit = (_words(group / limit_name) or ["max"])[0]
        if limit == "max" or int(limit) >= _UNLIMITED:
            continue
        used = _words(group / used_name)
        account = _words(group / "memory.stat")
        cached = dict(zip(account[::2], account[1::2], strict=False)).get(cached_name, "0")
        yield int(limit), max(int(limit) - int(used[0]) + int(cached), 0) if used else None


def _groups(root: Path) -> Iterator[Path]:
    """Yield the folders of the process's groups, innermost first.

    In a container the path that the process is told may be that of the host, of which only the
    last folder is mounted: hence all folders on the way that exist.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        mount = root / "sys/fs/cgroup" / controllers
        folder = mount / path.lstrip("/")
        while True:
            if folder.is_dir():
                yield folder
            if folder == mount or mount not in folder.parents:
                break
            folder = folder.parent


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
