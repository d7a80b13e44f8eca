"""Free memory: how much a process may still fill, the page cache included."""

from __future__ import annotations

from pathlib import Path

from featstore.cgroup import cgroup_limits

#: Where no system tells.
_ASSUMED = 1 << 30


def free_memory(root: Path = Path("/")) -> int:
    """Return how many bytes can be filled before anything has to be swapped out.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` are.

    Returns
    -------
    nbytes
        The lesser of what the machine has available and what the limits of the process's control
        groups leave (`featstore.cgroup`).  1 GiB where nothing is known of the machine.
    """
    available, left = available_memory(root), cgroup_limits(root).free
    available = _ASSUMED if available is None else available
    return available if left is None else min(available, left)


def available_memory(root: Path = Path("/")) -> int | None:
    """Return how many bytes the machine has available, cached files included; None if unknown."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None
