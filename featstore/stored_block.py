"""StoredBlocks: rows as they were computed become rows as they are stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.finite import all_finite
from featstore.shards import ShardLayout


class StoredBlocks:
    """Checks and converts the rows of shards, piece by piece, in a buffer that is used again.

    Parameters
    ----------
    name
        Of the feature, for messages.
    layout
        Of the feature.
    """

    def __init__(self, name: str, layout: ShardLayout) -> None:
        self._name = name
        self._layout = layout
        self._buffer: NDArray[Any] | None = None

    def pieces(
        self, shard: int, block: NDArray[Any], excluded: Mapping[int, str]
    ) -> Iterator[NDArray[Any]]:
        """Yield the rows of a block as they are stored, as `ShardLayout.pieces` cuts them.

        A piece is the block's own, or converted; it lasts until the next one is asked for.

        Parameters
        ----------
        shard
            Index of the shard.
        block
            All its rows, shape (rows of the shard, dim).
        excluded
            Rows of the store whose values become NaN, with the reason.

        Raises
        ------
        InvalidInputError
            If a value is not finite, or overflows the stored dtype.
        """
        first = self._layout.shard_range(shard).start
        left_out = np.asarray([row - first for row in excluded], np.intp)
        as_it_is = block.dtype == self._layout.dtype and block.flags.c_contiguous
        for piece in self._layout.pieces(shard):
            stored = block[piece]
            here = left_out[(piece.start <= left_out) & (left_out < piece.stop)] - piece.start
            if len(here) or not as_it_is:
                if self._buffer is None:
                    shape = self._layout.piece_rows, self._layout.dim
                    self._buffer = np.empty(shape, self._layout.dtype)
                stored = self._buffer[: len(stored)]
                with np.errstate(over="ignore"):
                    np.copyto(stored, block[piece], casting="same_kind")
                stored[here] = 0
            if not all_finite(stored):
                raise self._not_finite(first, block, left_out)
            stored[here] = np.nan
            yield stored

    def _not_finite(
        self, first: int, block: NDArray[Any], left_out: NDArray[np.intp]
    ) -> InvalidInputError:
        """Say which rows of a block cannot be stored, and why."""
        with np.errstate(over="ignore"):
            bad = ~np.isfinite(block.astype(self._layout.dtype)).all(axis=1)
        bad[left_out] = False
        where = np.flatnonzero(bad)
        row = first + int(where[0])
        if np.isfinite(block[where[0]]).all():
            return InvalidInputError(
                f"feature {self._name!r}: values up to {np.abs(block[where]).max():.4g} do "
                f"not fit into {self._layout.dtype} (row {row}, {len(where)} rows in all); "
                "store it with --dtype float32"
            )
        return InvalidInputError(
            f"feature {self._name!r}: the backbone returned NaN or Inf for row {row} "
            f"({len(where)} rows in this shard); try --numerics fp32, or look at the images"
        )
