"""ReadableObjects: objects as a store of zarr-python, with featstore's errors."""

from __future__ import annotations

from typing import Any

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import ObjectStore

from featstore.object_client import ObjectClient


class ReadableObjects(ObjectStore[Any]):
    """A bucket or host, for reading.

    Parameters
    ----------
    client
        Its client.
    """

    def __init__(self, client: ObjectClient) -> None:
        super().__init__(client.store, read_only=True)
        self._client = client

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return an object's bytes; None if there is none."""
        with self._client.asking(f"{self._client.root}/{key}"):
            return await super().get(key, prototype, byte_range)
