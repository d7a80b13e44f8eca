"""Objective: a penalised loss of linear logits, its gradient and its curvature along a line."""

from __future__ import annotations

import torch
from torch import Tensor

from featstore.probes.centred_rows import Design, row_blocks
from featstore.probes.inputs import blocks
from featstore.probes.loss import CLASS_MAJOR_BELOW, Loss, logits_like

DIAGONAL_FROM = 200  # columns; from here on diag E[H] preconditions as well and costs no k³
_CACHE_ROWS = 1024  # rows of features of a narrow product
_CPU_ELEMENTS = 2**17  # per elementwise block, so that its temporaries stay in cache
_CUDA_ELEMENTS = 2**27  # there a block only bounds memory
_CURVATURE_ELEMENTS = 2**22  # in float64, several times over


class Objective:
    """Mean loss plus ridge/2 ‖W‖², in the coordinates of a centred design matrix.

    Parameters
    ----------
    design
        Shape (n, r).
    loss
        Over k columns.
    ridge
        λ = 1 / (C n), with weights over their sum in place of n: this is scikit-learn's objective
        divided by C n.
    dtype
        Precision of parameters, logits and products; blocks of `design` are cast to it.

    Notes
    -----
    Parameters, gradients and directions are class-major tensors (k, r + 1): weights, then the
    intercept, which is not penalised.
    """

    #: Whether `step_margins` and `value_and_gradient` hold near the last `anchor` only.
    rounded: bool = False

    def __init__(self, design: Design, loss: Loss, ridge: float, *, dtype: torch.dtype) -> None:
        self.design, self.loss, self.ridge, self.dtype = design, loss, ridge, dtype
        n, k = len(design), loss.n_columns
        cuda = design.device.type == "cuda"
        self._rows_per_block = max(256, (_CUDA_ELEMENTS if cuda else _CPU_ELEMENTS) // k)
        narrow = not cuda and k < CLASS_MAJOR_BELOW
        self.passes = 0.0  # a product with X and one with its transpose
        whole = isinstance(design, Tensor) and design.dtype == dtype
        self._rows_per_product = _CACHE_ROWS if narrow else n if whole else 2**14

    def new_margins(self) -> Tensor:
        """Return an uninitialised (n, k) buffer in the layout that is fast for k."""
        shape = torch.Size((self.loss.n_samples, self.loss.n_columns))
        return logits_like(shape, self.dtype, self.design.device)

    def margins(self, theta: Tensor, *, out: Tensor) -> Tensor:
        """Margins of the parameters, or the direction, `theta`; half a pass over the data."""
        self.passes += 0.5
        W, b = theta[:, :-1].contiguous(), theta[:, -1]
        for rows, X in row_blocks(self.design, self._rows_per_product, self.dtype):
            torch.addmm(b, X, W.T, out=out[rows])
        return self._relative(out)

    def step_margins(self, direction: Tensor, *, out: Tensor) -> Tensor:
        """Margins of a direction that is about to be searched; half a pass."""
        return self.margins(direction, out=out)

    def anchor(self, theta: Tensor, U: Tensor, *, scratch: Tensor) -> tuple[float, Tensor]:
        """Value and gradient, not rounded; half a pass."""
        return self.value_and_gradient(theta, U, scratch=scratch)

    def step_exactly(self) -> None:
        """Round no more from here on."""

    def loss_and_residual(self, U: Tensor, *, out: Tensor) -> tuple[float, Tensor]:
        """Mean loss; its derivative in the logits goes to `out` (not divided by n).

        Returns
        -------
        loss
            Accumulated in float64.
        intercept_gradient
            Mean residual per column, shape (k,), float64.
        """
        total = torch.zeros((), dtype=torch.float64, device=U.device)
        columns = torch.zeros(U.shape[1], dtype=torch.float64, device=U.device)
        for rows in blocks(len(U), self._rows_per_block):
            total += self.loss.residual(U[rows], rows, out=out[rows]).sum(dtype=torch.float64)
            columns += out[rows].sum(0, dtype=torch.float64)
        return total.item() / len(U), columns / len(U)

    def value_and_gradient(
        self, theta: Tensor, U: Tensor, *, scratch: Tensor
    ) -> tuple[float, Tensor]:
        """Value and gradient (k, r + 1) at `theta`, whose margins are U; half a pass."""
        loss, intercept_gradient = self.loss_and_residual(U, out=scratch)
        self.passes += 0.5
        W = theta[:, :-1]
        G = torch.zeros_like(W, memory_format=torch.contiguous_format)
        for rows, X in row_blocks(self.design, self._rows_per_product, self.dtype):
            # Class-major, (k, b) x (b, r), is up to 2.5 times faster than its transpose.
            G.addmm_(scratch[rows].T, X)
        G.div_(len(U)).add_(W, alpha=self.ridge)
        value = loss + 0.5 * self.ridge * dot(W, W)
        return value, torch.cat([G, intercept_gradient.to(self.dtype)[:, None]], dim=1)

    def along(self, U: Tensor, V: Tensor, step: float) -> tuple[float, float]:
        """First and second derivative of the mean loss (no penalty) in `step` at U + step V."""
        totals = torch.zeros(2, dtype=torch.float64, device=U.device)
        for rows in blocks(len(U), self._rows_per_block):
            first, second = self.loss.along(U[rows], V[rows], step, rows)
            totals += torch.stack([first.sum(dtype=torch.float64), second.sum(dtype=torch.float64)])
        slope, curvature = (totals / len(U)).tolist()
        return slope, curvature

    def shift(self, delta: Tensor, *, out: Tensor) -> Tensor:
        """Margins of a change `delta` (k,) of the intercepts; no pass."""
        return self._relative(out.copy_(delta))

    def _relative(self, Z: Tensor) -> Tensor:
        """Turn logits into margins, in place."""
        for rows in blocks(len(Z), self._rows_per_block):
            self.loss.anchor(Z[rows], rows)
        return Z

    @property
    def resident(self) -> Tensor:
        """`design`, which is in memory."""
        assert isinstance(self.design, Tensor)
        return self.design

    def column_curvature(self, U: Tensor, *, out: Tensor) -> Tensor:
        """Second derivatives of the rows' losses in their logits, like U; no pass."""
        for rows in blocks(len(U), self._rows_per_block):
            out[rows] = self.loss.column_curvature(U[rows], rows)
        return out

    def class_curvature(self, U: Tensor) -> Tensor:
        """Mean Hessian in the logits over an even sample of rows that is ample for k columns.

        Shape (k, k), or (k,) where only the diagonal is worth its price.
        """
        n, k = U.shape
        stride, diagonal = curvature_stride(self.loss), k >= DIAGONAL_FROM
        block_rows = max(1, _CURVATURE_ELEMENTS // k) * stride
        mean: Tensor | None = None
        for start in range(0, n, block_rows):
            rows = slice(start, min(start + block_rows, n), stride)
            part = self.loss.curvature(U[rows], rows, diagonal=diagonal)
            if block_rows >= n:
                return part
            part.mul_(len(range(n)[rows]) / len(range(0, n, stride)))
            mean = part if mean is None else mean.add_(part)
        assert mean is not None
        return mean


def curvature_stride(loss: Loss) -> int:
    """Distance of the rows of a mean Hessian; a few weighted rows may be all that counts."""
    return 1 if loss.weighted else max(1, loss.n_samples // max(8 * loss.n_columns, 8192))


def dot(a: Tensor, b: Tensor) -> float:
    """Inner product of two equally shaped tensors, accumulated in float64."""
    return (a * b).sum(dtype=torch.float64).item()
