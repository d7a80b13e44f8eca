"""Moments: one pass over features and labels leaves all that a closed form needs.

Sums of outer products are taken block by block around the block's own mean and joined by
Chan, Golub & LeVeque 1983: every term is positive semi-definite, so that nothing cancels, however
far the features lie from zero and in whatever order the rows come.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from featstore.errors import InvalidInputError
from featstore.probes.class_sums import ClassSums
from featstore.probes.device import DeviceName, device_of, threads_for
from featstore.probes.inputs import Targets
from featstore.probes.standardisation import column_scale
from featstore.probes.stream import BLOCK_ROWS, RowStream

Precision = Literal["auto", "float32", "float64"]

_FLOAT64_BELOW = 20_000_000  # numbers in X; there float64 costs seconds at most
_FLOAT32_NOISE = 1e-6  # measured 1e-8 to 7e-7, the more the fewer rows
_PANELS = 4  # of columns: of a symmetric matrix only the blocks below the diagonal are computed
_PANEL_COLUMNS = 64  # at least: thin products are slow


@dataclass(frozen=True, eq=False)
class Moments:
    """Counts, means and sums of products of features in the coordinates solvers work in.

    The coordinates of a row x are ((x - mean) · scale) rotation.  With n >= d there is no rotation
    and r = d; with fewer rows it is an orthonormal basis of the space that the centred rows span,
    and r = n: the dual form, since nothing that is invariant to rotation leaves that space.

    Attributes
    ----------
    n_samples
        Rows, n.
    mean
        Column means, shape (d,).
    scale
        What centred columns are multiplied by, shape (d,); None for one.
    rotation
        Shape (d, r), or None.
    scatter
        Sum over the rows of the outer product of their coordinates, shape (r, r).
    counts
        Rows of each class, shape (c,).
    sums
        Sum of the coordinates of each class's rows, shape (c, r).
    noise
        Rounding of `scatter`, relative to its largest eigenvalue.
    """

    n_samples: int
    mean: Tensor
    scale: Tensor | None
    rotation: Tensor | None
    scatter: Tensor
    counts: Tensor
    sums: Tensor
    noise: float

    @classmethod
    def of(
        cls,
        stream: RowStream,
        targets: Targets,
        *,
        std_offset: float | None = None,
        dtype: Precision = "auto",
        device: DeviceName = "cpu",
    ) -> Moments:
        """Accumulate in one pass, in O(d² + c d) memory.

        Parameters
        ----------
        stream
            Features (n, d).
        targets
            Labels of the rows.
        std_offset
            Divide columns by their standard deviation plus this; None leaves them as they are.
            Constant columns become 0.
        dtype
            Of the products: ``"float64"``, or ``"float32"``, which takes half the time and leaves
            an error below 1e-6 of the largest eigenvalue; sums over blocks are float64.
            ``"auto"`` takes float32 for float16 and float32 features of more than 20 million
            numbers.
        device
            Where products are computed.

        Raises
        ------
        InvalidInputError
            If a view holds NaN or infinity, or a parameter is unknown.
        """
        if dtype not in ("auto", "float32", "float64"):
            raise InvalidInputError(f"dtype must be 'auto', 'float32' or 'float64', got {dtype!r}")
        n, d = stream.shape
        where = device_of(device)
        if n < d:
            return cls._wide(stream, targets, std_offset, where)
        double = dtype == "float64" or (
            dtype == "auto" and (stream.dtype.itemsize == 8 or n * d < _FLOAT64_BELOW)
        )
        products = torch.float64 if double else torch.float32
        sums = ClassSums(targets, d, where)
        lower = torch.zeros(d, d, dtype=torch.float64, device=where)
        mean = torch.zeros(d, dtype=torch.float64, device=where)  # from `origin`
        origin: Tensor | None = None
        # Fresh memory for every block would cost as much as the subtractions.
        shifted_rows = torch.empty(min(n, BLOCK_ROWS), d, dtype=torch.float64, device=where)
        centred_rows = torch.empty_like(shifted_rows, dtype=products)
        with threads_for(2.0 * min(n, BLOCK_ROWS) * d * d, where):
            for rows, block in stream.blocks(where):
                if origin is None:
                    origin = block.mean(dim=0, dtype=torch.float64)
                shifted = torch.sub(block, origin, out=shifted_rows[: len(block)])
                sums.add(rows, shifted)
                centre = shifted.mean(dim=0)
                _add_gram(lower, torch.sub(shifted, centre, out=centred_rows[: len(block)]))
                step = centre - mean
                lower += (rows.start * len(block) / rows.stop) * torch.outer(step, step)
                mean += step * (len(block) / rows.stop)
            scatter = lower.tril() + lower.tril(-1).T
        class_sums = sums.sums - sums.counts[:, None] * mean
        if origin is not None:
            mean += origin
        scale = None
        if std_offset is not None:
            scale = column_scale(mean, scatter.diagonal() / n, std_offset)
            scatter = scale[:, None] * scatter * scale
            class_sums *= scale
        noise = d * torch.finfo(torch.float64).eps + (0.0 if double else _FLOAT32_NOISE)
        return cls(n, mean, scale, None, scatter, sums.counts, class_sums, noise)

    @classmethod
    def _wide(
        cls, stream: RowStream, targets: Targets, std_offset: float | None, device: torch.device
    ) -> Moments:
        n, d = stream.shape
        rows = stream.read(device)  # fewer numbers than a d x d matrix has
        mean = rows.mean(dim=0)
        rows -= mean
        scale = None
        if std_offset is not None:
            scale = column_scale(mean, rows.square().mean(dim=0), std_offset)
            rows *= scale
        # Xᵀ = Q R is backward stable at any scale of the columns; a Gram matrix of X is not.
        rotation, R = torch.linalg.qr(rows.T)
        sums = ClassSums(targets, n, device)
        sums.add(slice(0, n), R.T)
        eps = torch.finfo(torch.float64).eps
        return cls(n, mean, scale, rotation, R @ R.T, sums.counts, sums.sums, d * eps)

    @property
    def n_features(self) -> int:
        """Columns of the feature matrix, d."""
        return len(self.mean)

    def coordinates(self, block: Tensor) -> Tensor:
        """Coordinates (b, r) of feature rows (b, d)."""
        rows = block - self.mean
        if self.scale is not None:
            rows *= self.scale
        return rows if self.rotation is None else rows @ self.rotation

    def to_features(self, weights: Tensor) -> Tensor:
        """Weights (k, d) over raw features from weights (k, r) over coordinates."""
        if self.rotation is not None:
            weights = weights @ self.rotation.T
        return weights if self.scale is None else weights * self.scale

    def from_features(self, weights: Tensor) -> Tensor:
        """Weights (k, r) over coordinates from weights (k, d) over features that are not scaled."""
        return weights if self.rotation is None else weights @ self.rotation


def _add_gram(lower: Tensor, block: Tensor) -> None:
    """Add blockᵀ block to a matrix whose part above the diagonal is of no interest."""
    width = max(math.ceil(block.shape[1] / _PANELS), _PANEL_COLUMNS)
    for start in range(0, block.shape[1], width):
        stop = min(start + width, block.shape[1])
        panel = block[:, start:stop].T @ block[:, :stop]
        lower[start:stop, :stop] += panel
