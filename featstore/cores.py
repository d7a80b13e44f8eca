"""Cores that this process may use."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Count the cores of the process's affinity mask, or of the machine where there is none."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
