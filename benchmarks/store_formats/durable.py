"""Flushing what a library wrote, for libraries that leave that to the caller."""

from __future__ import annotations

import os
from pathlib import Path


def flush(path: Path) -> None:
    """Flush a file, or all files and folders below a folder, and the entry itself."""
    below = sorted(path.rglob("*")) if path.is_dir() else []
    for entry in [*below, path, path.parent]:
        descriptor = os.open(entry, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
