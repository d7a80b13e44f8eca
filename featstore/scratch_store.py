"""ScratchStore: how zarr-python writes into a folder that nobody else knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def scratch_store(folder: Path) -> Any:
    """Return what zarr-python takes for a store, for a folder that only the caller writes to.

    zarr-python makes sure by hard links that of several writers only one creates a group.  In a
    folder of our own that is not needed, and some file systems have no hard links.
    """
    from zarr.abc.store import Store
    from zarr.core.buffer import Buffer
    from zarr.storage import LocalStore

    class ScratchStore(LocalStore):
        async def set_if_not_exists(self: Store, key: str, value: Buffer) -> None:
            if not await self.exists(key):
                await self.set(key, value)

    return ScratchStore(folder)
