"""RowSearch: neighbours of feature rows, block by block, below a memory ceiling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featstore.ceiling import check_ceiling
from featstore.probes.faiss_search import FaissSearch, Index, check_index
from featstore.probes.inputs import blocks
from featstore.probes.neighbours import Metric, Search, row_map, without_self
from featstore.probes.recall import Recall
from featstore.probes.row_maps import RowMap
from featstore.probes.screened_search import ScreenedSearch
from featstore.probes.search_budget import SearchBudget
from featstore.probes.stream import RowStream
from featstore.probes.tile_search import TileSearch
from featstore.probes.tiles import PREPARED_ROWS, HeldTiles, StreamedTiles, fixed_blocks

_BLOCK_ROWS = 1024

#: Rows, and their neighbours and similarities, (b, k).
Found = tuple[slice, NDArray[np.int64], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class RowSearch:
    """A search, and what rows go through before it.

    Attributes
    ----------
    search
        In prepared rows.
    prepare
        How they are prepared.
    metric
        What for.
    recall
        Of the search.
    budget
        What queries take.
    room
        Bytes that there are for them; None for no ceiling.
    device
        Where the search is.
    """

    search: Search
    prepare: RowMap
    metric: Metric
    recall: Recall
    budget: SearchBudget
    room: int | None
    device: torch.device

    @classmethod
    def of(
        cls,
        stream: RowStream,
        *,
        metric: Metric,
        k: int,
        index: Index | None = None,
        max_memory: int | None = None,
        device: torch.device,
    ) -> RowSearch:
        """Make a search in training rows (n, d).

        Parameters
        ----------
        stream
            The rows; kept where `max_memory` does not admit a copy.
        metric
            What they are compared by.
        k
            Neighbours that will be asked for; recall is measured with as many.
        index
            Of faiss; by default the products of torch.
        max_memory
            Bytes that the search may take.  A view with a lower ceiling of its own is not copied.
        device
            Where the search is to be.

        Raises
        ------
        InvalidInputError
            If rows hold NaN or infinity, or the index cannot have its parameters.
        MemoryCeilingError
            If `max_memory` is too small for the index, or to search at all.
        """
        n, d = stream.shape
        budget, copy = SearchBudget.of(stream, k), 4 * n * d
        if index is not None:
            check_index(index, n)
            check_ceiling(copy, max_memory, f"an index of {n} rows with {d} columns")
        prepare, euclidean = row_map(metric, stream, device), metric == "euclidean"
        streamed = StreamedTiles(stream, prepare, euclidean, device)
        exact = TileSearch(streamed, device=device)
        search: Search = exact
        recall, room = Recall(), max_memory
        if index is not None:
            search = FaissSearch.build(streamed, index, euclidean=euclidean)
            if not search.exact and n > 1:
                recall = Recall.measure(search, exact, min(k, n - 1))
        elif _admitted(copy, budget, stream.source, max_memory):
            held = HeldTiles(stream, prepare, euclidean=euclidean, device=device)
            search = TileSearch(held, device=device)
            screen = ScreenedSearch.bytes_taken(n, d)
            if (
                device.type == "cpu"
                and not euclidean
                and _admitted(copy + screen, budget, stream.source, max_memory)
                and ScreenedSearch.pays(held)
            ):
                search, copy = ScreenedSearch(held), copy + screen
        else:
            budget.queries(max_memory)  # says so now if it is too small
            if not euclidean:
                for _ in stream.blocks(device):  # nor are rows that are not finite to wait
                    pass
            copy = 0
        if room is not None:
            room = max(room - copy, budget.least)
        return cls(search, prepare, metric, recall, budget, room, device)

    @property
    def n_train(self) -> int:
        """Rows to search in."""
        return self.search.n_train

    def neighbours(self, stream: RowStream, k: int) -> Iterator[Found]:
        """Yield queries of a stream (n, d) and what is found for them, block by block."""
        for start, block in fixed_blocks(stream, self.device, self._queries(k)):
            queries = torch.empty(block.shape, device=self.device)
            for rows in blocks(len(block), PREPARED_ROWS):
                queries[rows] = self.prepare(block[rows])
            yield from _pieces(start, *self.search(queries, k))

    def left_out(self, k: int) -> Iterator[Found]:
        """Yield training rows and what is found for them among the others; k < n."""
        for rows in blocks(self.n_train, self._queries(k + 1)):
            index = np.arange(rows.start, rows.stop)
            found = self.search(self.search.rows(index), k + 1)
            yield from _pieces(rows.start, *without_self(*found, index))

    def _queries(self, k: int) -> int:
        return replace(self.budget, k=k).queries(self.room)


def _pieces(
    start: int, neighbours: NDArray[np.int64], similarities: NDArray[np.float32]
) -> Iterator[Found]:
    """Cut what was found into blocks that are small enough to vote."""
    for rows in blocks(len(neighbours), _BLOCK_ROWS):
        at = slice(start + rows.start, start + rows.stop)
        yield at, neighbours[rows], similarities[rows]


def _admitted(copy: int, budget: SearchBudget, source: Any, max_memory: int | None) -> bool:
    """Whether there is room for a copy of so many bytes."""
    own = getattr(source, "max_memory", None)
    return (own is None or copy <= own) and (
        max_memory is None or copy + budget.least <= max_memory
    )
