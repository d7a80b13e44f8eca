"""CheckedRows: rows that are compared with their checksums as they are read."""

from __future__ import annotations

from typing import Any

import crc32c
import numpy as np
from numpy.typing import NDArray

from featstore.errors import CorruptStoreError
from featstore.feature import FeatureInfo
from featstore.shards import shard_name


class CheckedRows:
    """All rows of a sealed feature, for reading from front to back.

    What is copied from one feature into another gets new checksums there.  Damage would come with
    it and never be found again, unless the old checksums are looked at on the way.

    Parameters
    ----------
    info
        The feature.

    Raises
    ------
    CorruptStoreError
        If a shard is missing, has another size, or its index is damaged.
    """

    def __init__(self, info: FeatureInfo) -> None:
        self._folder = info.folder
        self._layout = info.layout
        self._rows = info.rows()
        self._promised = {commit.shard: commit.crc32c for commit in info.commits()}

    def read(self, start: int, out: NDArray[Any]) -> None:
        """Copy consecutive rows from `start` on into `out`, shape (m, dim), of the stored dtype.

        Raises
        ------
        CorruptStoreError
            If a chunk that holds one of the rows is not what was committed.
        """
        chunk, stop = self._layout.chunk_rows, start + len(out)
        # Whole chunks go straight to their place, what is left at both ends through a copy.
        first = min(-(-start // chunk) * chunk, stop)
        last = stop if stop == self._layout.rows else max(stop // chunk * chunk, first)
        self._read_part(start, out[: first - start])
        self._read_whole(first, out[first - start : last - start])
        self._read_part(last, out[last - start :])

    def _read_part(self, start: int, out: NDArray[Any]) -> None:
        """Read rows of one chunk."""
        if not len(out):
            return
        chunk = self._layout.chunk_rows
        first = start // chunk * chunk
        whole = np.empty((min(chunk, self._layout.rows - first), self._layout.dim), out.dtype)
        self._read_whole(first, whole)
        out[:] = whole[start - first : start - first + len(out)]

    def _read_whole(self, start: int, out: NDArray[Any]) -> None:
        """Read whole chunks; the last one of all is as short as it is."""
        if not len(out):
            return
        self._rows.read(start, out)
        chunk = self._layout.chunk_rows
        for first in range(0, len(out), chunk):
            self._check(start + first, out[first : first + chunk])

    def _check(self, start: int, values: NDArray[Any]) -> None:
        shard, row = divmod(start, self._layout.shard_rows)
        checksum = crc32c.crc32c(values.reshape(-1).view(np.uint8).data)
        padding = (self._layout.chunk_rows - len(values)) * self._layout.row_bytes
        if padding:
            checksum = crc32c.crc32c(bytes(padding), checksum)
        if checksum != self._promised[shard][row // self._layout.chunk_rows]:
            raise CorruptStoreError(
                f"{self._folder}/{shard_name(shard)} is damaged: rows {start} to "
                f"{start + len(values) - 1} have another checksum than committed; `featstore "
                "verify` lists all damage"
            )
