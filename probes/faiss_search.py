"""FaissSearch: neighbours by an index of faiss, exact or approximate, that can be kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.errors import InvalidInputError
from featstore.probes.distances import refined
from featstore.probes.tiles import Tiles

_TRAINING_ROWS = 64  # per list; more than 39 is what faiss asks for


@dataclass(frozen=True)
class FlatIndex:
    """All rows as they are: exact (``IndexFlatIP``, ``IndexFlatL2``)."""

    name: ClassVar[str] = "faiss"


@dataclass(frozen=True)
class InvertedLists:
    """Rows in lists around centroids, of which a query looks into a few (``IndexIVFFlat``).

    Attributes
    ----------
    nlist
        Lists; by default 4 √n, faiss's advice, and at most n / 39.
    nprobe
        Lists that a query looks into, more only if they hold fewer than k rows.
    """

    nlist: int | None = None
    nprobe: int = 32
    name: ClassVar[str] = "faiss-ivf"

    def lists(self, n: int) -> int:
        """Return the number of lists of an index over n rows."""
        return max(min(int(4 * math.sqrt(n)), n // 39), 1) if self.nlist is None else self.nlist


@dataclass(frozen=True)
class NeighbourGraph:
    """A navigable small-world graph (``IndexHNSWFlat``; Malkov & Yashunin 2018).

    Attributes
    ----------
    M
        Links of a row.
    ef_construction, ef_search
        Rows that are kept in sight while the graph is built and searched; at least k are.
    """

    M: int = 32
    ef_construction: int = 100
    ef_search: int = 64
    name: ClassVar[str] = "faiss-hnsw"


Index = FlatIndex | InvertedLists | NeighbourGraph

#: What an engine's name means.
INDEXES: dict[str, Index] = {
    "faiss": FlatIndex(),
    "faiss-ivf": InvertedLists(),
    "faiss-hnsw": NeighbourGraph(),
}


def index_named(name: str, **parameters: Any) -> Index:
    """Return the settings of the index with this name.

    Examples
    --------
    >>> index_named("faiss-ivf", nprobe=8)
    InvertedLists(nlist=None, nprobe=8)
    """
    return replace(INDEXES[name], **parameters)


def check_index(index: Index, n: int) -> None:
    """Raise `InvalidInputError` if an index over n rows cannot have these parameters."""
    if isinstance(index, InvertedLists):
        lists = index.lists(n)
        if not 1 <= lists <= n:
            raise InvalidInputError(
                f"nlist={lists} lists cannot be made of n_samples={n} training rows: nlist must "
                f"lie between 1 and {n}"
            )
        if index.nprobe < 1:
            raise InvalidInputError(f"nprobe must be at least 1, got {index.nprobe}")
    elif isinstance(index, NeighbourGraph):
        if index.M < 2:
            raise InvalidInputError(f"M must be at least 2, got {index.M}")
        if min(index.ef_construction, index.ef_search) < 1:
            raise InvalidInputError(
                f"ef_construction and ef_search must be at least 1, got {index.ef_construction} "
                f"and {index.ef_search}"
            )


class FaissSearch:
    """Search by an index of faiss, on the CPU.

    Parameters
    ----------
    index
        An index of faiss over prepared rows.
    settings
        How it was made and is searched.
    """

    def __init__(self, index: Any, settings: Index) -> None:
        self.index = index
        self.settings = settings

    @classmethod
    def build(cls, tiles: Tiles, settings: Index, *, euclidean: bool) -> FaissSearch:
        """Make an index of training rows (n, d): they are copied into it."""
        import faiss

        n, d = tiles.shape
        index: Any
        metric = faiss.METRIC_L2 if euclidean else faiss.METRIC_INNER_PRODUCT
        if isinstance(settings, InvertedLists):
            nlist = settings.lists(n)
            index = faiss.IndexIVFFlat(faiss.IndexFlat(d, metric), d, nlist, metric)
            index.cp.min_points_per_centroid = 1  # it would write to stderr
            chosen = np.linspace(0, n - 1, min(n, _TRAINING_ROWS * nlist)).astype(np.int64)
            index.train(tiles.rows(chosen).cpu().numpy())
        elif isinstance(settings, NeighbourGraph):
            index = faiss.IndexHNSWFlat(d, settings.M, metric)
            index.hnsw.efConstruction = settings.ef_construction
        else:
            index = faiss.IndexFlat(d, metric)
        for tile in tiles:
            index.add(tile.values[: tile.n].cpu().numpy())
        return cls(index, settings)

    @classmethod
    def deserialised(cls, index: NDArray[np.uint8], settings: Index) -> FaissSearch:
        """Take an index that `serialised` gave."""
        import faiss

        return cls(faiss.deserialize_index(index), settings)

    def serialised(self) -> NDArray[np.uint8]:
        """Return the index as faiss writes it, shape (bytes,)."""
        import faiss

        data: NDArray[np.uint8] = faiss.serialize_index(self.index)
        return data

    @property
    def exact(self) -> bool:
        """Whether it finds the nearest rows, and not most of them."""
        return isinstance(self.settings, FlatIndex)

    @property
    def n_train(self) -> int:
        """Rows to search in."""
        n: int = self.index.ntotal
        return n

    @property
    def n_features(self) -> int:
        """Columns of the rows, d."""
        d: int = self.index.d
        return d

    def rows(self, index: NDArray[np.int64]) -> Tensor:
        """Return prepared training rows, shape (m, d)."""
        if isinstance(self.settings, InvertedLists):
            self.index.make_direct_map()
        return torch.from_numpy(self.index.reconstruct_batch(index))

    def __call__(self, queries: Tensor, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Search the index; see `featstore.probes.neighbours.Search`.

        A flat index returns any of the rows that tie at the k-th place.  So one neighbour more is
        asked for; queries where it ties are searched again, twice as deep, until the tie ends.
        Queries for which an approximate index finds fewer than k rows are searched again, twice
        as thoroughly, until it does.
        """
        Q = queries.cpu().numpy()
        neighbours = np.empty((len(Q), k), dtype=np.int64)
        similarities = np.empty((len(Q), k), dtype=np.float32)
        pending, effort = np.arange(len(Q)), 1
        while len(pending):
            depth = min(effort * k + 1, self.n_train) if self.exact else k
            rows, values = self._search(Q[pending], depth, effort)
            order = np.lexsort((rows, -values), axis=1)[:, :k]
            neighbours[pending] = np.take_along_axis(rows, order, axis=1)
            similarities[pending] = np.take_along_axis(values, order, axis=1)
            if self.exact:
                open_ = values[:, k - 1] == values[:, -1]
                open_ &= k < depth < self.n_train
            else:
                open_ = (rows < 0).any(axis=1)
            pending, effort = pending[open_], 2 * effort
        return neighbours, similarities

    def _search(
        self, queries: NDArray[np.float32], k: int, effort: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows, -1 where too few were found, and similarities, (b, k)."""
        import faiss

        index, parameters, settings = self.index, None, self.settings
        if isinstance(settings, InvertedLists):
            nprobe = min(effort * settings.nprobe, index.nlist)
            parameters = faiss.SearchParametersIVF(nprobe=nprobe)  # type: ignore[call-arg]
        elif isinstance(settings, NeighbourGraph):
            ef = effort * max(settings.ef_search, k)
            if ef < self.n_train or effort == 1:
                parameters = faiss.SearchParametersHNSW(efSearch=ef)  # type: ignore[attr-defined]
            else:  # the graph may have parts that no link leads to
                index = faiss.downcast_index(index.storage)
        values, rows = index.search(queries, k, params=parameters)
        if index.metric_type == faiss.METRIC_L2:
            values, rows = self._distances(queries, values, rows)
        return rows, values

    def _distances(
        self, queries: NDArray[np.float32], squares: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        similarities, neighbours = refined(
            torch.from_numpy(queries),
            torch.from_numpy(-np.sqrt(np.maximum(squares, 0.0))),
            torch.from_numpy(rows),
            self.rows,
        )
        return similarities.numpy(), neighbours.numpy()
