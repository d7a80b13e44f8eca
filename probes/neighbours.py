"""Neighbours: exact search in float32, by torch or faiss, with ties resolved by row."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from featstore.probes.device import DeviceName, device_of

Metric = Literal["cosine", "euclidean"]


class Search(Protocol):
    """Exact search over fixed training rows, prepared for the metric."""

    @property
    def n_train(self) -> int:
        """Rows to search in."""
        ...

    def __call__(
        self, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return training rows and similarities of the k nearest, (b, k) each, nearest first.

        Similarities are inner products, or minus the distance for a euclidean search; the order
        of equal ones is undefined.
        """
        ...


class TorchSearch:
    """One matrix product and a partial sort per block of queries."""

    def __init__(self, train: NDArray[np.float32], *, metric: Metric, device: DeviceName) -> None:
        import torch

        self.n_train = len(train)
        self._device = device_of(device)
        self._train = torch.from_numpy(train).to(self._device)
        self._half_squares = None
        if metric == "euclidean":
            self._half_squares = self._train.square().sum(dim=1) / 2

    def __call__(
        self, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Search by one product; see `Search`."""
        import torch

        Q = torch.from_numpy(queries).to(self._device)
        if self._half_squares is None:
            top = torch.topk(Q @ self._train.T, k, dim=1)
            similarities = top.values
        else:
            # -‖q - x‖² / 2 = q·x - ‖x‖² / 2 - ‖q‖² / 2, the last the same for all x
            scores = torch.addmm(self._half_squares, Q, self._train.T, beta=-1)
            top = torch.topk(scores, k, dim=1)
            squares = Q.square().sum(dim=1, keepdim=True) - 2 * top.values
            similarities = -squares.clamp_min_(0.0).sqrt_()
        return top.indices.cpu().numpy(), similarities.cpu().numpy()


class FaissSearch:
    """A flat faiss index: IndexFlatIP for cosine, IndexFlatL2 for euclidean."""

    def __init__(self, train: NDArray[np.float32], *, metric: Metric) -> None:
        import faiss

        self.n_train, d = train.shape
        self._euclidean = metric == "euclidean"
        self._index = faiss.IndexFlatL2(d) if self._euclidean else faiss.IndexFlatIP(d)
        self._index.add(train)

    def __call__(
        self, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Search the index; see `Search`."""
        values, rows = self._index.search(queries, k)
        return rows, -np.sqrt(np.maximum(values, 0.0)) if self._euclidean else values


def nearest(
    search: Search, queries: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Training rows and similarities of the k nearest, (b, k) each; equal ones by lower row.

    A search returns any of the rows that tie at the k-th place.  So one neighbour more is asked
    for; queries where it ties are searched again, twice as deep, until the tie ends.

    Examples
    --------
    >>> train = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], dtype=np.float32)
    >>> search = TorchSearch(train, metric="cosine", device="cpu")
    >>> nearest(search, train[:1], 2)[0]
    array([[0, 2]])
    """
    neighbours = np.empty((len(queries), k), dtype=np.int64)
    similarities = np.empty((len(queries), k), dtype=np.float32)
    pending, depth = np.arange(len(queries)), min(k + 1, search.n_train)
    while len(pending):
        rows, values = search(queries[pending], depth)
        order = np.lexsort((rows, -values), axis=1)[:, :k]
        neighbours[pending] = np.take_along_axis(rows, order, axis=1)
        similarities[pending] = np.take_along_axis(values, order, axis=1)
        if depth == search.n_train:
            break
        pending = pending[values[:, k - 1] == values[:, -1]]
        depth = min(2 * depth, search.n_train)
    return neighbours, similarities
