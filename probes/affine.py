"""AffineClassifier: what all probes share whose scores are an affine map of the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.link import Link
from featstore.probes.device import device_of, threads_for
from featstore.probes.row_maps import RowMap
from featstore.probes.score_classifier import ScoreClassifier
from featstore.probes.stream import BLOCK_ROWS, RowStream


@dataclass(frozen=True, eq=False)
class AffineMap:
    """Scores φ(x) Wᵀ + b.

    Attributes
    ----------
    weights
        W, shape (k, p), float64, on the CPU.
    offsets
        b, shape (k,).
    prepare
        φ; None for the rows as they are, p = d.
    """

    weights: Tensor
    offsets: Tensor
    prepare: RowMap | None = None

    def scores(self, stream: RowStream, device: torch.device) -> NDArray[np.floating]:
        """Scores of all rows, shape (n, k): computed in float64, float32 unless the rows are."""
        W, b = self.weights.to(device), self.offsets.to(device)
        out = torch.empty(
            len(stream),
            len(W),
            dtype=torch.float64 if stream.dtype == np.float64 else torch.float32,
        )
        with threads_for(2.0 * min(len(stream), BLOCK_ROWS) * W.numel(), device):
            for rows, block in stream.blocks(device):
                prepared = block.double() if self.prepare is None else self.prepare(block)
                out[rows] = torch.addmm(b, prepared, W.T).cpu()
        return out.numpy()


class AffineClassifier(ScoreClassifier):
    """A classifier whose scores are an affine map of the rows.

    A child's ``fit`` calls `_open`, and then `_adopt`.
    """

    @property
    def link_(self) -> Link | None:
        """How the scores of the fitted head become probabilities; None for another function."""
        if self._multilabel:
            return Link("sigmoid", self._log_odds_per_score / self._temperature)
        two = len(self.classes_) == 2
        return Link("softmax", (self._log_odds_per_score if two else 1.0) / self._temperature)

    def _scores(self, stream: RowStream) -> NDArray[np.floating]:
        return self._map.scores(stream, device_of(self.device))

    def _adopt(
        self,
        weights: Tensor,
        offsets: Tensor,
        *,
        prepare: RowMap | None = None,
        temperature: float = 1.0,
    ) -> None:
        """Take scores φ(x) Wᵀ + b and their temperature; of rows as they are, publish the head."""
        self._map = AffineMap(weights.cpu(), offsets.cpu(), prepare)
        self._temperature = temperature
        if prepare is None:
            self.coef_, self.intercept_ = self._map.weights.numpy(), self._map.offsets.numpy()
