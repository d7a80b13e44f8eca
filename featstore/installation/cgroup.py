"""Control groups: the cores and the memory that a container or a batch system leaves a process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Version 1 writes "no limit" as the largest multiple of a page.
_UNLIMITED = 1 << 60


@dataclass(frozen=True)
class Limits:
    """What a process may use; None where nothing limits it.

    Attributes
    ----------
    cores
        Processor time in seconds for each second of the clock.
    memory
        Bytes.
    """

    cores: float | None
    memory: int | None


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
    for group in _groups(root):
        quota, period = [*(_words(group / "cpu.max") or ["max"]), "100000"][:2]
        if quota == "max":
            quota = (_words(group / "cpu.cfs_quota_us") or ["-1"])[0]
            period = (_words(group / "cpu.cfs_period_us") or ["100000"])[0]
        if int(quota) > 0:
            cores.append(int(quota) / int(period))
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = (_words(group / name) or ["max"])[0]
            if limit != "max" and int(limit) < _UNLIMITED:
                memory.append(int(limit))
    return Limits(min(cores, default=None), min(memory, default=None))


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
