"""ShardLayout: how rows of a feature become the bytes of sharded Zarr v3 files.

A shard holds consecutive rows.  Its inner chunks span whole rows and carry the ``bytes`` codec
only, so that the chunks of a shard, in Zarr's order, are simply the rows one after the other,
followed by the shard index.  Every Zarr v3 reader reads this; we read it by mapping the files.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import crc32c
import numpy as np
from numpy.typing import NDArray

from featstore.errors import CorruptStoreError

SHARD_BYTES = 64 << 20
CHUNK_BYTES = 1 << 20
#: Encoded at a time: few enough bytes to stay in the processor's cache from one use to the next,
#: and as many as the system's largest pages, in which it then keeps the file.
PIECE_BYTES = 4 << 20
MIN_SHARD_ROWS = 256
MAX_SHARD_ROWS = 16384
#: Shards begin at page boundaries of one address range, so their bytes are a multiple of this.
PAGE = 4096
#: Aim: an interrupted extraction of any size loses a small part of the work, at most this fraction
#: of it, and several devices find enough to share.  A commit costs 1 to 2 ms of a processor, which
#: fast writers notice: 300 MB are written in 0.21, 0.17 and 0.16 s with 32, 24 and 8 here.
AIMED_SHARDS = 24

_EMPTY = 0xFFFF_FFFF_FFFF_FFFF


@dataclass(frozen=True)
class ShardLayout:
    """Shape and byte arithmetic of one sharded array.

    Attributes
    ----------
    rows, dim
        Shape of the feature.
    dtype
        ``"float16"`` or ``"float32"``, little-endian on disk.
    shard_rows, chunk_rows
        Rows of a shard and of its inner chunks; `chunk_rows` divides `shard_rows`.
    """

    rows: int
    dim: int
    dtype: str
    shard_rows: int
    chunk_rows: int

    @classmethod
    def choose(cls, rows: int, dim: int, dtype: str) -> ShardLayout:
        """Choose shard and chunk sizes for a feature of shape (rows, dim).

        A shard is the unit of work that an interruption can lose, so small data sets get small
        shards (1/48 to 1/24 of the rows, at least 256) and large ones at most 64 MiB or 16,384
        rows.  All sizes are powers of two, and a shard's bytes a multiple of the page.

        Examples
        --------
        >>> ShardLayout.choose(20_000, 384, "float16").shard_rows
        512
        >>> ShardLayout.choose(1_281_167, 2048, "float16").shard_rows
        16384
        """
        row_bytes = dim * np.dtype(dtype).itemsize
        most = min(MAX_SHARD_ROWS, _floor_power(SHARD_BYTES // row_bytes))
        wanted = _floor_power(max(rows // AIMED_SHARDS, MIN_SHARD_ROWS))
        shard_rows = max(min(wanted, most), 1)
        while shard_rows * row_bytes % PAGE:
            shard_rows *= 2
        chunk_rows = min(max(_floor_power(CHUNK_BYTES // row_bytes), 1), shard_rows)
        return cls(rows, dim, dtype, shard_rows, chunk_rows)

    @property
    def n_shards(self) -> int:
        """Number of shard files."""
        return -(-self.rows // self.shard_rows)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.dim * np.dtype(self.dtype).itemsize

    def shard_range(self, shard: int) -> range:
        """Rows of a shard; the last one may be shorter."""
        start = shard * self.shard_rows
        return range(start, min(start + self.shard_rows, self.rows))

    def data_bytes(self, shard: int) -> int:
        """Bytes of a shard before its index: whole chunks, the last one padded with zeros."""
        return (
            -(-len(self.shard_range(shard)) // self.chunk_rows) * self.chunk_rows * self.row_bytes
        )

    @property
    def index_bytes(self) -> int:
        """Bytes of the shard index at the end of a shard file."""
        return self.shard_rows // self.chunk_rows * 16 + 4

    def file_bytes(self, shard: int) -> int:
        """Bytes of a shard file."""
        return self.data_bytes(shard) + self.index_bytes

    @property
    def piece_rows(self) -> int:
        """Rows of whole chunks that are encoded at a time."""
        return max(PIECE_BYTES // (self.chunk_rows * self.row_bytes), 1) * self.chunk_rows

    def pieces(self, shard: int) -> Iterator[slice]:
        """Cut the rows of a shard into pieces; see `encode`."""
        rows, step = len(self.shard_range(shard)), self.piece_rows
        return (slice(start, min(start + step, rows)) for start in range(0, rows, step))

    def encode(
        self, shard: int, pieces: Iterable[NDArray[Any]], checksums: list[int]
    ) -> Iterator[Any]:
        """Encode the rows of a shard.

        What is done to a piece, here and by whoever gives and takes it, finds it in the processor's
        cache.

        Parameters
        ----------
        shard
            Index of the shard.
        pieces
            Its rows as `pieces` cuts them, each C-contiguous and of the stored dtype.
        checksums
            Takes the crc32c of each inner chunk, padding included.

        Yields
        ------
        buffer
            To be written one after the other.
        """
        chunk_bytes = self.chunk_rows * self.row_bytes
        for piece in pieces:
            data = piece.reshape(-1).view(np.uint8).data
            # Whoever takes the piece writes it meanwhile; both let go of the interpreter.
            found = _thread(os.getpid()).submit(_checksums, data, chunk_bytes)
            try:
                yield data
            finally:
                checksums += found.result()
            if rest := data.nbytes % chunk_bytes:
                padding = bytes(chunk_bytes - rest)
                checksums[-1] = crc32c.crc32c(padding, checksums[-1])
                yield padding
        yield self._index(shard)

    def check_index(self, shard: int, index: bytes) -> None:
        """Raise `CorruptStoreError` unless `index` is the index this layout writes."""
        if index != self._index(shard):
            raise CorruptStoreError(
                f"the index of shard {shard} is damaged: its bytes differ from what "
                f"{self.shard_rows} rows in chunks of {self.chunk_rows} require"
            )

    def _index(self, shard: int) -> bytes:
        """(offset, length) of every chunk, little-endian uint64, then their crc32c."""
        n_chunks = self.data_bytes(shard) // (self.chunk_rows * self.row_bytes)
        index = np.full((self.shard_rows // self.chunk_rows, 2), _EMPTY, "<u8")
        index[:n_chunks, 0] = np.arange(n_chunks) * self.chunk_rows * self.row_bytes
        index[:n_chunks, 1] = self.chunk_rows * self.row_bytes
        table = index.tobytes()
        return table + struct.pack("<I", crc32c.crc32c(table))

    def metadata(self, visible_rows: int, attributes: dict[str, Any]) -> dict[str, Any]:
        """Return the array's ``zarr.json``; `visible_rows` is 0 until the feature is sealed."""
        little_endian = {"name": "bytes", "configuration": {"endian": "little"}}
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [visible_rows, self.dim],
            "data_type": self.dtype,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": [self.shard_rows, self.dim]},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": 0.0,
            "codecs": [
                {
                    "name": "sharding_indexed",
                    "configuration": {
                        "chunk_shape": [self.chunk_rows, self.dim],
                        "codecs": [little_endian],
                        "index_codecs": [little_endian, {"name": "crc32c"}],
                        "index_location": "end",
                    },
                }
            ],
            "attributes": attributes,
            "storage_transformers": [],
        }

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any], rows: int) -> ShardLayout | None:
        """Recover the layout from a ``zarr.json``; None if another tool chose another one."""
        try:
            shard_rows, dim = metadata["chunk_grid"]["configuration"]["chunk_shape"]
            sharding = metadata["codecs"][0]["configuration"]
            chunk_rows = sharding["chunk_shape"][0]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
        layout = cls(rows, dim, metadata["data_type"], shard_rows, chunk_rows)
        same = layout.metadata(metadata["shape"][0], metadata["attributes"])
        if any(metadata.get(key) != same[key] for key in ("shape", "codecs", "chunk_key_encoding")):
            return None
        return layout


def _checksums(data: memoryview, size: int) -> list[int]:
    """Return the crc32c of each `size` bytes, and of what is left."""
    return [crc32c.crc32c(data[start : start + size]) for start in range(0, data.nbytes, size)]


@cache
def _thread(process: int) -> ThreadPoolExecutor:
    """Return this process's thread for checksums; that of the parent does not outlive a fork."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="featstore-checksum")
    try:
        pool.submit(int)
    except BaseException:
        # Ctrl-C while the thread starts: the interpreter would wait for it, and nobody tell it.
        pool.shutdown(wait=False)
        raise
    return pool


def shard_name(shard: int) -> str:
    """File of a shard, as Zarr's default chunk key encoding names it."""
    return f"c/{shard}/0"


def _floor_power(number: int) -> int:
    """Largest power of two that is not above `number` (1 for 0)."""
    return 1 << max(number.bit_length() - 1, 0)
