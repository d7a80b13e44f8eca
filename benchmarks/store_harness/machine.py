"""What the numbers were taken on."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any


def describe(folder: Path, packages: set[str]) -> dict[str, Any]:
    """Describe processor, memory, file system and libraries, as far as the system tells."""
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "file_system": _file_system(folder),
        "read_ahead_kb": _read_ahead(folder),
        "transparent_hugepages": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in sorted(packages)},
    }


def _processor() -> str:
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _file_system(folder: Path) -> str | None:
    """Type of the file system with the longest mount point above the folder."""
    mounts = [line.split()[1:3] for line in (_read("/proc/mounts") or "").splitlines()]
    above = [(len(at), kind) for at, kind in mounts if folder.resolve().is_relative_to(at)]
    return max(above)[1] if above else None


def _read_ahead(folder: Path) -> int | None:
    device = folder.stat().st_dev
    found = _read(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb")
    return int(found) if found else None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
