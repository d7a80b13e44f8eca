"""History: who did what to a store, when, on which machine; never part of any digest."""

from __future__ import annotations

import json
import os
import platform
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from featstore.folder import Folder

HISTORY = "history.jsonl"
_PACKAGES = (
    "featstore",
    "numpy",
    "pillow",
    "torch",
    "torchvision",
    "timm",
    "onnxruntime",
    "openvino",
    "zarr",
    "faiss-cpu",
    "imagecorruptions-imaug",
)


def environment() -> dict[str, Any]:
    """Describe the machine and the versions of the packages that matter."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "packages": versions,
    }


def record(store: Folder, action: str, **details: Any) -> None:
    """Append one line to the store's history."""
    line = json.dumps({"action": action, **details, **environment()}, ensure_ascii=False)
    # What was done is done: a full disk must not turn it into a failure.
    with suppress(OSError):
        store.append(HISTORY, f"{line}\n".encode())


def history(store: Folder) -> list[dict[str, Any]]:
    """Read the store's history, oldest first; a line that a crash cut short is passed over."""
    try:
        content = store.read(HISTORY)
    except FileNotFoundError:
        return []
    entries = []
    for line in content.decode(errors="replace").splitlines():
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return entries
