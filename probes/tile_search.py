"""TileSearch: exact neighbours in float32 by matrix products, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.probes.device import threads_for
from featstore.probes.distances import SPARE, refined
from featstore.probes.inputs import blocks
from featstore.probes.selection import top_columns
from featstore.probes.tiles import Tile, Tiles, tile_rows

#: Queries of one product.
CHUNK_ROWS = 512


class TileSearch:
    """A product and a selection for every tile, whose best are merged with those before.

    Tiles come in the order of the rows: of neighbours with equal similarity those found earlier
    stay in front, and a later one never displaces them.

    Parameters
    ----------
    tiles
        Training rows, shape (n, d).
    device
        Where they are.
    """

    exact = True

    def __init__(self, tiles: Tiles, *, device: torch.device) -> None:
        self._tiles = tiles
        self._device = device

    @property
    def n_train(self) -> int:
        """Rows to search in."""
        return self._tiles.shape[0]

    def rows(self, index: NDArray[np.int64]) -> Tensor:
        """Return prepared training rows, shape (m, d)."""
        return self._tiles.rows(index)

    def __call__(self, queries: Tensor, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Go once through the training rows; see `featstore.probes.neighbours.Search`."""
        if not self._tiles.euclidean:
            values, rows = self._best(queries, k)
        else:
            found = self._best(queries, min(k + SPARE, self.n_train))
            values, rows = (part[:, :k] for part in refined(queries, *found, self.rows))
        return rows.cpu().numpy(), values.cpu().numpy()

    def _best(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        n, d = self._tiles.shape
        chunks = [queries[rows] for rows in blocks(len(queries), CHUNK_ROWS)]
        best = [_Best.none(len(chunk), self._device) for chunk in chunks]
        size, height = tile_rows(n, d), len(chunks[0])
        buffer = torch.empty(height * size, device=self._device)
        with threads_for(2.0 * height * size * d, self._device):
            for tile in self._tiles:
                for i, chunk in enumerate(chunks):
                    best[i] = best[i].joined(_scores(chunk, tile, buffer), tile, k)
        return torch.cat([part.values for part in best]), torch.cat([part.rows for part in best])


@dataclass(frozen=True, eq=False)
class _Best:
    """Best scores of a chunk of queries so far, in order, and their training rows: (q, m)."""

    values: Tensor
    rows: Tensor

    @classmethod
    def none(cls, n_queries: int, device: torch.device) -> _Best:
        return cls(
            torch.empty(n_queries, 0, device=device),
            torch.empty(n_queries, 0, dtype=torch.int64, device=device),
        )

    def joined(self, scores: Tensor, tile: Tile, k: int) -> _Best:
        """Keep the k best of these and of a tile's scores (q, m)."""
        worst = self.values[:, -1] if self.values.shape[1] == k else None
        values, columns = top_columns(scores, min(k, tile.n), above=worst)
        if self.values.shape[1] == 0:
            return _Best(values, columns + tile.start)
        values = torch.cat([self.values, values], dim=1)
        rows = torch.cat([self.rows, columns + tile.start], dim=1)
        values, order = values.sort(dim=1, descending=True, stable=True)
        # Copies: a slice would keep all that was sorted.
        return _Best(values[:, :k].clone(), rows.gather(1, order[:, :k]))


def _scores(queries: Tensor, tile: Tile, buffer: Tensor) -> Tensor:
    """Return similarities (q, m): inner products or minus distances; -inf for rows that pad."""
    m = len(tile.values)
    scores = buffer[: len(queries) * m].view(len(queries), m)
    if tile.squares is None:
        torch.mm(queries, tile.values.T, out=scores)
    else:
        # ‖q - x‖² = ‖x‖² - 2 q·x + ‖q‖²
        torch.addmm(tile.squares, queries, tile.values.T, alpha=-2, out=scores)
        scores += queries.square().sum(dim=1, keepdim=True)
        scores.clamp_min_(0.0).sqrt_().neg_()
    scores[:, tile.n :] = -torch.inf
    return scores
