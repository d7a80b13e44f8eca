"""Neighbours: what a search over training rows is, whatever does it."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.probes.row_maps import CentredRows, RowMap, UnitRows
from featstore.probes.stream import RowStream
from featstore.probes.tiles import PREPARED_ROWS, fixed_blocks

Metric = Literal["cosine", "euclidean"]


class Search(Protocol):
    """Search over fixed training rows, prepared for the metric."""

    @property
    def exact(self) -> bool:
        """Whether it finds the nearest rows, and not most of them."""
        ...

    @property
    def n_train(self) -> int:
        """Rows to search in."""
        ...

    def rows(self, index: NDArray[np.int64]) -> Tensor:
        """Return prepared training rows, shape (m, d)."""
        ...

    def __call__(self, queries: Tensor, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the k nearest of prepared queries.

        Parameters
        ----------
        queries
            Float32, shape (b, d).
        k
            At most `n_train`.

        Returns
        -------
        neighbours, similarities
            Shape (b, k), in descending order of similarity, equal ones by training row.
            Similarities are inner products, or minus the distance for a euclidean search.
        """
        ...


def row_map(metric: Metric, stream: RowStream, device: torch.device) -> RowMap:
    """Return what rows go through before they are compared.

    For the cosine they are divided by their l2 norm.  For the distance their mean is subtracted,
    which leaves distances as they are and saves their digits in float32; rows are read once.
    """
    if metric == "cosine":
        return UnitRows()
    n, d = stream.shape
    total = torch.zeros(d, dtype=torch.float64, device=device)
    for _, block in fixed_blocks(stream, device, PREPARED_ROWS):
        total += block.sum(dim=0, dtype=torch.float64)
    return CentredRows(total / n)


def without_self(
    neighbours: NDArray[np.int64], similarities: NDArray[np.float32], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Strike each query, itself a training row, from its neighbours.

    Of k + 1 neighbours, k are left: those of a search without the row.  Where more than k others
    tie with it, the row may not be among them; then the last one goes.

    Parameters
    ----------
    neighbours, similarities
        Shape (b, k + 1), nearest first.
    rows
        Training row that each query is, shape (b,).

    Examples
    --------
    >>> without_self(np.array([[4, 7, 9]]), np.array([[0.9, 0.8, 0.7]]), np.array([7]))
    (array([[4, 9]]), array([[0.9, 0.7]]))
    """
    itself = neighbours == rows[:, None]
    place = np.where(itself.any(axis=1), itself.argmax(axis=1), neighbours.shape[1] - 1)
    kept = np.arange(neighbours.shape[1] - 1)[None, :]
    kept = kept + (kept >= place[:, None])
    return (
        np.take_along_axis(neighbours, kept, axis=1),
        np.take_along_axis(similarities, kept, axis=1),
    )
