"""FeatureTask: one feature in the making — an encoder, its writer, and the shard being filled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from featstore.encoder import Encoder
from featstore.feed import PixelBatch
from featstore.preparation import Preparation
from featstore.writer import FeatureWriter


class FeatureTask:
    """Encodes batches, and commits a shard whenever one is full.

    Parameters
    ----------
    encoder, writer
        Of one feature.
    preparation
        From images to the encoder's pixels.
    """

    def __init__(self, encoder: Encoder, writer: FeatureWriter, preparation: Preparation) -> None:
        self.encoder = encoder
        self.preparation = preparation
        self.writer = writer
        self._pending = set(writer.pending())
        self._claimed: set[int] = set()
        self._block: NDArray[np.float32] | None = None
        self._excluded: dict[int, str] = {}
        self._limit: int | None = None

    @property
    def shard_rows(self) -> int:
        """Rows of a shard."""
        return self.writer.layout.shard_rows

    def pending(self, rows: range) -> Iterator[int]:
        """Shards of a unit of work that are not committed, as far as is known."""
        for shard in range(rows.start // self.shard_rows, -(-rows.stop // self.shard_rows)):
            if shard in self._pending:
                yield shard

    def claim(self, rows: range) -> None:
        """Take on the shards of a unit of work that nobody else is at."""
        for shard in list(self.pending(rows)):
            if self.writer.claim(shard):
                self._claimed.add(shard)
            elif self.writer.sealed or self.writer.log.has(shard):
                self._pending.remove(shard)

    def needs(self, row: int) -> bool:
        """Whether this task has taken on the shard that holds `row`."""
        return row // self.shard_rows in self._claimed

    def take(self, batch: PixelBatch) -> None:
        """Encode a batch, and commit the shard if this completes it."""
        if not self.needs(batch.rows.start):
            return
        shard = batch.rows.start // self.shard_rows
        rows = self.writer.layout.shard_range(shard)
        if self._block is None:
            self._block = np.empty((self.shard_rows, self.writer.layout.dim), np.float32)
        start = batch.rows.start - rows.start
        pixels = batch.pixels[self.preparation]
        self._block[start : start + len(pixels)] = self._encode(pixels)
        self._excluded.update(batch.unreadable)
        if batch.rows.stop == rows.stop:
            block = self._block[: len(rows)]
            # Written while the next shard is computed.
            self.writer.put(shard, block, excluded=self._excluded, wait=False)
            self._pending.remove(shard)
            self._claimed.remove(shard)
            self._excluded = {}

    def _encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode in pieces that fit into the device's memory, halving them where needed."""
        while True:
            size = self._limit or len(pixels)
            try:
                parts = [
                    self.encoder.encode(pixels[i : i + size]) for i in range(0, len(pixels), size)
                ]
            except RuntimeError as error:
                # torch.cuda.OutOfMemoryError, without importing torch for its name.
                if "out of memory" not in str(error).lower() or size == 1:
                    raise
                self._limit = size // 2
                continue
            return parts[0] if len(parts) == 1 else np.concatenate(parts)
