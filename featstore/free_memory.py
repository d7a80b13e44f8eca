"""Free memory: how much a process may still fill, the page cache included."""

from __future__ import annotations

from pathlib import Path

#: Where no system tells.
_ASSUMED = 1 << 30
_MACHINE = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def free_memory(machine: Path = _MACHINE, group: Path = _GROUP) -> int:
    """Return how many bytes can be filled before anything has to be swapped out.

    Parameters
    ----------
    machine
        Linux's account of the memory of the machine.
    group
        Folder of the control group (version 2) whose limit holds for this process.

    Returns
    -------
    nbytes
        The lesser of what the machine has available and what the group's limit leaves; cached
        files, which the system gives up at once, count as free.  1 GiB where nothing is known.
    """
    free = _account(machine, "MemAvailable:")
    available = _ASSUMED if free is None else free * 1024
    limit, used = _number(group / "memory.max"), _number(group / "memory.current")
    if limit is None or used is None:
        return available
    cached = _account(group / "memory.stat", "inactive_file") or 0
    return min(available, max(limit - used + cached, 0))


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max" is no limit


def _account(path: Path, name: str) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        entry, *values = line.split()
        if entry == name:
            return int(values[0])
    return None
