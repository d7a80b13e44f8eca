"""Row ranges: which bytes of which shards hold the rows that somebody wants."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.shards import ShardLayout

#: Bytes asked for at a time: large enough that the way to the service and back does not matter.
PIECE_BYTES = 2 << 20
#: Rows that nobody wants are read where they lie between two that are wanted, and reading on takes
#: no longer than another request would; and never more bytes of them than of those.
GAP_BYTES = 64 << 10
#: Ranges of a piece, read side by side.
_RANGES = 32


@dataclass(frozen=True)
class Piece:
    """Rows that are asked for at a time.

    Attributes
    ----------
    shard
        The shard that has them.
    starts, lengths
        The byte ranges in its file, ascending.
    wanted
        Which of the rows asked for, ascending, they are: positions [start, stop).
    offsets
        Where each of those is among the rows of all ranges, shape (stop - start,).
    """

    shard: int
    starts: list[int]
    lengths: list[int]
    wanted: slice
    offsets: NDArray[Any]


def plan(rows: NDArray[np.intp], layout: ShardLayout) -> Iterator[Piece]:
    """Divide a gather into pieces.

    Parameters
    ----------
    rows
        Rows of the feature, shape (m,), ascending; rows may repeat.
    layout
        Of the feature.

    Yields
    ------
    piece
        At most 32 ranges and about 4 MiB.
    """
    if not len(rows):
        return
    row_bytes = layout.row_bytes
    shards, local = np.divmod(rows, layout.shard_rows)
    # A cell bounds what a single range can hold.
    cells = local // max(PIECE_BYTES // row_bytes, 1)
    gaps = np.maximum(np.diff(rows) - 1, 0)
    breaks = (np.diff(shards) != 0) | (np.diff(cells) != 0) | (gaps > GAP_BYTES // row_bytes)
    # The smallest gaps spare as many requests as the largest.
    small = np.flatnonzero(~breaks)
    small = small[np.argsort(gaps[small], kind="stable")]
    n_distinct = 1 + np.count_nonzero(np.diff(rows))
    breaks[small[np.cumsum(gaps[small]) > n_distinct]] = True
    begins = np.r_[0, np.flatnonzero(breaks) + 1]
    ends = np.r_[begins[1:], len(rows)]
    first, counts = local[begins], local[ends - 1] - local[begins] + 1

    # Ranges are put together until they are many, or large.
    bulk = np.cumsum(counts * row_bytes) // PIECE_BYTES
    many = np.arange(len(begins)) // _RANGES
    new = np.diff(shards[begins]) + np.diff(bulk) + np.diff(many) > 0
    edges = [0, *(np.flatnonzero(new) + 1).tolist(), len(begins)]
    for start, stop in itertools.pairwise(edges):
        wanted = slice(int(begins[start]), int(ends[stop - 1]))
        before = np.cumsum(counts[start:stop]) - counts[start:stop]
        shift = np.repeat(before - first[start:stop], ends[start:stop] - begins[start:stop])
        yield Piece(
            shard=int(shards[wanted.start]),
            starts=(first[start:stop] * row_bytes).tolist(),
            lengths=(counts[start:stop] * row_bytes).tolist(),
            wanted=wanted,
            offsets=local[wanted] + shift,
        )
