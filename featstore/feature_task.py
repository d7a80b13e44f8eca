"""FeatureTask: one feature in the making — an encoder, its writer, and the shard being filled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from featstore.encoder import Encoder, overlapping
from featstore.errors import InvalidInputError
from featstore.feed import PixelBatch
from featstore.finite import finite_rows
from featstore.micro_batch import MicroBatch, is_out_of_memory
from featstore.preparation import Preparation
from featstore.writer import FeatureWriter

_Result = TypeVar("_Result")

#: Ids in a message.
_NAMED = 10


class FeatureTask:
    """Encodes batches, one after the other, and commits a shard whenever one is full.

    Parameters
    ----------
    encoder, writer
        Of one feature.
    preparation
        From images to the encoder's pixels.
    ids
        Of all rows, for messages.
    batch_size
        Images per batch at most; fewer at a time where the encoder's memory does not suffice.
    """

    def __init__(
        self,
        encoder: Encoder,
        writer: FeatureWriter,
        preparation: Preparation,
        *,
        ids: NDArray[np.str_],
        batch_size: int,
    ) -> None:
        self.encoder = encoder
        self.preparation = preparation
        self.writer = writer
        self._ids = ids
        self._batch = MicroBatch(batch_size)
        self._pending = set(writer.pending())
        self._claimed: set[int] = set()
        self._block: NDArray[np.float32] | None = None
        self._excluded: dict[int, str] = {}

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

    def begin(self, batch: PixelBatch) -> Callable[[], None]:
        """Begin to encode a batch.

        Parameters
        ----------
        batch
            Its pixels stay as they are until its features are taken.

        Returns
        -------
        take
            Takes the features, and commits the shard if they complete it; called in the order of
            the batches.  It raises

            - InvalidInputError if a feature is not finite, or does not fit the stored precision;
              with the ids,
            - OutOfMemoryError if memory does not suffice for a single image,
            - StorageError if the disk refuses.
        """
        if not self.needs(batch.rows.start):
            return _take_nothing
        pixels = batch.pixels[self.preparation]
        encode = partial(self._batch.run, partial(encode_in_pieces, self.encoder, pixels))
        return partial(self._take, batch, begin_encoding(self.encoder, pixels, encode))

    def _take(self, batch: PixelBatch, wait: Callable[[], NDArray[np.float32]]) -> None:
        shard = batch.rows.start // self.shard_rows
        rows = self.writer.layout.shard_range(shard)
        if self._block is None:
            self._block = np.empty((self.shard_rows, self.writer.layout.dim), np.float32)
        start = batch.rows.start - rows.start
        features = wait()
        self._check(features, batch)
        self._block[start : start + len(batch.rows)] = features
        self._excluded.update(batch.unreadable)
        if batch.rows.stop == rows.stop:
            block = self._block[: len(rows)]
            # Written while the next shard is computed.
            self.writer.put(shard, block, excluded=self._excluded, wait=False)
            self._pending.remove(shard)
            self._claimed.remove(shard)
            self._excluded = {}

    def finish(self, *, alone: bool) -> int:
        """Make the feature readable.

        Parameters
        ----------
        alone
            Whether no other process was left a part of the work.

        Returns
        -------
        missing
            Shards that others have not committed yet.

        Raises
        ------
        InvalidInputError
            If shards are missing though there are no others.
        """
        if alone:
            self.writer.seal()
            return 0
        return self.writer.seal_if_whole()

    def _check(self, features: NDArray[np.float32], batch: PixelBatch) -> None:
        """Refuse what cannot be stored as soon as it is there, and say whose it is."""
        dtype = self.writer.layout.dtype
        with np.errstate(over="ignore"):
            bad = ~finite_rows(np.ascontiguousarray(features, dtype))
        bad[[row - batch.rows.start for row in batch.unreadable]] = False
        if not bad.any():
            return
        where = np.flatnonzero(bad)
        ids = self._ids[batch.rows.start + where].tolist()
        named = ", ".join(ids[:_NAMED]) + (", …" if len(ids) > _NAMED else "")
        whose = f"{len(ids)} of {len(features)} images of a batch: {named}"
        name = self.writer.folder.name
        if np.isfinite(features[where]).all():
            raise InvalidInputError(
                f"feature {name!r}: values up to {np.abs(features[where]).max():.4g} do not fit "
                f"into {dtype} for {whose}; store it with --dtype float32"
            )
        raise InvalidInputError(
            f"feature {name!r}: the backbone returned NaN or Inf for {whose}; try --numerics fp32, "
            "or look at these images"
        )


def encode_in_pieces(encoder: Encoder, pixels: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Encode `size` images at a time; see `featstore.encoder.Encoder.encode`."""
    parts = [encoder.encode(pixels[i : i + size]) for i in range(0, len(pixels), size)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def begin_encoding(
    encoder: Encoder,
    pixels: NDArray[np.uint8],
    encode: Callable[[], NDArray[np.float32]],
) -> Callable[[], NDArray[np.float32]]:
    """Begin to encode a batch where the encoder can; return what waits for its features.

    Where memory does not suffice, or the encoder cannot, `encode` does it when the features are
    asked for.  By then, the batches before have given back their memory.
    """
    device = overlapping(encoder)
    if device is None:
        return encode
    wait = _if_memory_suffices(partial(device.begin, pixels))
    if wait is None:
        return encode

    def features() -> NDArray[np.float32]:
        found = _if_memory_suffices(wait)
        return encode() if found is None else found

    return features


def _if_memory_suffices(call: Callable[[], _Result]) -> _Result | None:
    try:
        return call()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None


def _take_nothing() -> None:
    """Take the features of a batch that a task does not need."""
