"""SearchBudget: how many queries a search may hold, so that it stays below a memory ceiling."""

from __future__ import annotations

from dataclasses import dataclass

from featstore.batches import BATCH_BYTES
from featstore.ceiling import check_ceiling
from featstore.look_ahead import DEPTH
from featstore.probes.stream import RowStream
from featstore.probes.tile_search import CHUNK_ROWS
from featstore.probes.tiles import PREPARED_ROWS, tile_rows

_HELD_QUERIES = 8 * CHUNK_ROWS
_PACKED = 32 << 20  # what libraries take to rearrange operands of products


@dataclass(frozen=True)
class SearchBudget:
    """Memory of a search through rows that are read as they are needed.

    Attributes
    ----------
    n, d
        Of the training rows.
    itemsize
        Bytes of a stored value.
    view_bytes
        What the view that they come from holds at a time.
    k
        Neighbours that are looked for.
    """

    n: int
    d: int
    itemsize: int
    view_bytes: int
    k: int

    @classmethod
    def of(cls, stream: RowStream, k: int) -> SearchBudget:
        """Count what a search for k neighbours takes."""
        view_bytes = 0
        if hasattr(stream.source, "batches"):
            view_bytes = DEPTH * BATCH_BYTES
            if getattr(stream.source, "max_memory", None) is not None:
                view_bytes = min(view_bytes, stream.source.max_memory)
        n, d = stream.shape
        return cls(n, d, stream.dtype.itemsize, view_bytes, k)

    @property
    def fixed(self) -> int:
        """Bytes, however many queries there are: a tile, its scores, rows being prepared."""
        tile = tile_rows(self.n, self.d)
        selection = 3 * 12 * min(16 * (self.k + 1), tile)  # values and columns, with copies
        preparing = min(PREPARED_ROWS, tile) * self.d * (self.itemsize + 3 * 8)
        scores = CHUNK_ROWS * (4 * tile + tile // 4 + selection)
        return 4 * tile * self.d + scores + preparing + self.view_bytes + _PACKED

    @property
    def per_query(self) -> int:
        """Bytes of a query: its row, stored and prepared, its neighbours and its votes."""
        return self.d * (self.itemsize + 4) + 80 * self.k

    @property
    def least(self) -> int:
        """Bytes of the smallest search."""
        return self.fixed + CHUNK_ROWS * self.per_query

    def queries(self, max_memory: int | None) -> int:
        """Return how many share a pass through the training rows: a multiple of `CHUNK_ROWS`.

        Raises
        ------
        MemoryCeilingError
            If not even one chunk of queries fits.
        """
        if max_memory is None:
            return _HELD_QUERIES
        check_ceiling(
            self.least,
            max_memory,
            f"a search for {self.k} neighbours among rows of {self.d} columns, read in tiles,",
        )
        room = (max_memory - self.fixed) // self.per_query
        return room // CHUNK_ROWS * CHUNK_ROWS
