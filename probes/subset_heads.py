"""SubsetHeads: linear heads of many subsets, and how they score queries together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.probes.inputs import as_tensor, blocks
from featstore.probes.stream import RowStream
from featstore.subset_scores import SubsetScores

_SCORE_BYTES = 2**27  # of scores, and of gathered queries, at a time
_QUERY_ROWS = 2048


@dataclass(frozen=True, eq=False)
class SubsetHeads:
    """Affine scores of the classes, for s subsets with c classes each.

    Attributes
    ----------
    subsets
        Their numbers, shape (s,).
    value
        The hyper-parameter; NaN where there was none.
    classes
        Of each subset, sorted, shape (s, c).
    weights, offsets
        Scores are ``weights @ (x - origin) + offsets``: shapes (s, c, d) and (s, c), float64.
    origin
        A point near the rows, shape (d,), so that float32 scores lose nothing to a common shift.
    centres
        Shape (s, d): with them rows are divided by their distance from their subset's centre
        (given from `origin`), and the linear part of the scores is of x - origin - centre.
    converged
        Shape (s,).
    """

    subsets: NDArray[np.intp]
    value: float
    classes: NDArray[Any]
    weights: Tensor
    offsets: Tensor
    origin: Tensor
    centres: Tensor | None
    converged: NDArray[np.bool_]

    def score(
        self, queries: RowStream, asked: Sequence[NDArray[np.intp]] | None
    ) -> Iterator[SubsetScores]:
        """Score queries with every head; see `featstore.subset_scores.score_subsets`.

        Products are float32, for float64 queries float64.
        """
        dtype = torch.float64 if queries.dtype == np.float64 else torch.float32
        scored = self._all(queries, dtype) if asked is None else self._some(queries, asked, dtype)
        for i, scores in scored:
            yield SubsetScores(
                int(self.subsets[i]),
                self.value,
                self.classes[i],
                scores,
                bool(self.converged[i]),
            )

    def _all(
        self, queries: RowStream, dtype: torch.dtype
    ) -> Iterator[tuple[int, NDArray[np.floating]]]:
        device = self.weights.device
        d = self.weights.shape[2]
        W = self._projections(dtype)  # (s, c or c + 1, d)
        per_subset = len(queries) * W.shape[1] * dtype.itemsize
        for part in blocks(len(W), max(1, _SCORE_BYTES // per_subset)):
            flat = W[part].reshape(-1, d)
            projected = torch.empty(len(queries), len(flat), dtype=dtype, device=device)
            squares = torch.empty(len(queries), dtype=dtype, device=device)
            for rows, block in queries.blocks(device, size=_QUERY_ROWS):
                shifted = (block.to(torch.float64) - self.origin).to(dtype)
                torch.mm(shifted, flat.T, out=projected[rows])
                if self.centres is not None:
                    squares[rows] = shifted.square().sum(dim=1)
            stacked = projected.view(len(queries), -1, W.shape[1])
            for i in range(part.start, part.stop):
                scores = self._finish(stacked[:, i - part.start], squares, i)
                yield i, scores.cpu().numpy()

    def _some(
        self, queries: RowStream, asked: Sequence[NDArray[np.intp]], dtype: torch.dtype
    ) -> Iterator[tuple[int, NDArray[np.floating]]]:
        device = self.weights.device
        rows_of = as_tensor(np.asarray(queries.source))
        W = self._projections(dtype)
        for i, subset in enumerate(self.subsets):
            rows = torch.from_numpy(np.ascontiguousarray(asked[subset]))
            shifted = (rows_of[rows].to(device).double() - self.origin).to(dtype)
            projected = shifted @ W[i].T
            yield i, self._finish(projected, shifted.square().sum(dim=1), i).cpu().numpy()

    def _projections(self, dtype: torch.dtype) -> Tensor:
        """Return what queries are multiplied by: the weights, and the centre where there is one."""
        if self.centres is None:
            return self.weights.to(dtype)
        return torch.cat([self.weights, self.centres[:, None, :]], dim=1).to(dtype)

    def _finish(self, projected: Tensor, squares: Tensor, i: int) -> Tensor:
        """Scores (m, c) from projections (m, c), or (m, c + 1) with a centre."""
        if self.centres is None:
            return projected + self.offsets[i].to(projected.dtype)
        centre = self.centres[i]
        along = projected[:, -1]
        # ‖x - m‖² = ‖x‖² - 2 x·m + ‖m‖², all of them measured from the origin.
        lengths = (squares - 2 * along + centre.square().sum().to(squares.dtype)).clamp_min(0)
        lengths = lengths.sqrt()[:, None]
        shift = (self.weights[i] @ centre).to(projected.dtype)
        unit = (projected[:, :-1] - shift) / torch.where(lengths > 0, lengths, 1.0)
        return unit + self.offsets[i].to(projected.dtype)
