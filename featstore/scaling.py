"""BlockScaling: bring the blocks of a fused feature to a common scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from featstore.view import View

ScalingKind = Literal["none", "l2", "standardise"]
_BATCH = 8192


@dataclass(frozen=True, eq=False)
class BlockScaling:
    """A scaling of feature blocks, learned on training rows only.

    Attributes
    ----------
    kind
        ``"none"``: values as stored.  ``"l2"``: every block of every row has unit length.
        ``"standardise"``: every column has mean 0 and standard deviation 1 over the training
        rows; constant columns stay 0.
    dims
        Dimensions of the blocks.
    mean, scale
        Subtracted and multiplied, shape (d,), float32; 0 and 1 unless standardised.
    """

    kind: ScalingKind
    dims: tuple[int, ...]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def fit(cls, train: View, kind: ScalingKind) -> BlockScaling:
        """Learn the scaling from a view of training rows, reading it once at most."""
        dims = tuple(block.shape[1] for block in train.blocks)
        d = train.shape[1]
        mean, scale = np.zeros(d), np.ones(d)
        if kind == "standardise":
            # Two passes: the one-pass formula cancels for columns far from zero.
            for batch in train.batches(_BATCH):
                mean += batch.sum(axis=0, dtype=np.float64)
            mean /= train.shape[0]
            variance = np.zeros(d)
            for batch in train.batches(_BATCH):
                variance += np.square(batch - mean).sum(axis=0)
            std = np.sqrt(variance / train.shape[0])
            # Below the rounding of a mean in float32, a column is constant.
            constant = std <= 1e-6 * np.maximum(np.abs(mean), np.finfo(np.float32).tiny)
            scale = np.where(constant, 0.0, 1 / np.where(constant, 1.0, std))
        return cls(kind, dims, mean.astype(np.float32), scale.astype(np.float32))

    def apply(self, view: View) -> NDArray[Any]:
        """Return the view's scaled values, shape (n, d).

        Without scaling a single block is the store's own memory and dtype; otherwise float32.
        """
        return view.array() if self.kind == "none" else self.transform(view.array())

    def transform(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Scale rows (m, d) as they are stored; the same array without scaling, else float32."""
        if self.kind == "none":
            return rows
        values = rows.astype(np.float32)
        if self.kind == "standardise":
            values -= self.mean
            values *= self.scale
            return values
        for columns in self._blocks():
            block = values[:, columns]
            norms = np.sqrt(np.einsum("nd,nd->n", block, block))[:, None]
            block /= np.where(norms > 0, norms, 1)
        return values

    def _blocks(self) -> Iterator[slice]:
        start = 0
        for dim in self.dims:
            yield slice(start, start + dim)
            start += dim


def block_scales(view: View) -> dict[str, float]:
    """Root mean square of each block's values, over at most 8,192 rows spread over the view."""
    rows = np.unique(np.linspace(0, view.shape[0] - 1, _BATCH).astype(np.intp))
    return {
        block.name: float(np.sqrt(np.mean(np.square(block.take(rows), dtype=np.float64))))
        for block in view.blocks
    }
