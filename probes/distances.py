"""Distances: the digits of small ones restored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from featstore.probes.inputs import blocks
from featstore.probes.selection import by_column

_NEAR = 2.0**-4  # of ‖q‖: the squares of smaller ones have lost 8 of float32's 24 bits, or more
_PAIRS = 1024  # that are computed at a time

#: Neighbours that are looked for beyond those asked for: near ones may change places.
SPARE = 8


def refined(
    queries: Tensor,
    similarities: Tensor,
    neighbours: Tensor,
    rows: Callable[[NDArray[np.int64]], Tensor],
) -> tuple[Tensor, Tensor]:
    """Return neighbours by their distance, equal ones by row, near ones computed again.

    ‖q - x‖² from ‖q‖², q·x and ‖x‖² cancels where x is near q; there the difference of the two
    is taken, so that a row is at distance 0 of its copies, exactly.

    Parameters
    ----------
    queries
        Shape (b, d).
    similarities
        Minus the distances that products left, shape (b, k); overwritten.
    neighbours
        Their rows, shape (b, k).
    rows
        Gives training rows (m, d) by number.

    Returns
    -------
    similarities, neighbours
        Shape (b, k), in descending order.

    Examples
    --------
    >>> import torch
    >>> X = torch.tensor([[100.0, 0.0], [100.0, 0.1]])
    >>> noisy = torch.tensor([[0.0, -0.14]])
    >>> refined(X[:1], noisy, torch.tensor([[1, 0]]), lambda index: X[index])
    (tensor([[-0.0000, -0.1000]]), tensor([[0, 1]]))
    """
    lengths = queries.square().sum(dim=1, keepdim=True).sqrt()
    near = (similarities > -_NEAR * lengths).nonzero()
    for part in blocks(len(near), _PAIRS):
        query, place = near[part].unbind(dim=1)
        others = rows(neighbours[query, place].cpu().numpy())
        squares = (queries[query] - others).square().sum(dim=1)
        similarities[query, place] = -squares.sqrt()
    return by_column(similarities, neighbours)
