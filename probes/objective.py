"""Objective: the penalised loss of linear logits, its gradient and its curvature along a line.

Everything the solver asks of the loss goes through *margins*: logits relative to the truth.
For a softmax the margin of class j is z_j - z_y, for a sigmoid it is (1 - 2y) z; a loss is a
function of the margins alone, zero in the limit of -inf.  Losses and residuals of rows that are
fitted well then keep their relative precision in float32, where p_y - 1 and log(sum) - z_y lose
all digits, and a line search needs no targets.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from featstore.probes.inputs import blocks

CLASS_MAJOR_BELOW = 64  # columns; below, reductions over classes want the rows contiguous
DIAGONAL_FROM = 200  # columns; from here on diag E[H] preconditions as well and costs no k³
_CACHE_ROWS = 256  # rows of features that stay in the L2 cache between two narrow products
_CPU_ELEMENTS = 2**17  # per elementwise block, so that its temporaries stay in cache
_CUDA_ELEMENTS = 2**27  # there a block only bounds memory


class Design(Protocol):
    """A centred feature matrix (n, r), read block by block; a Tensor is one."""

    @property
    def device(self) -> torch.device:
        """Where its blocks are."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """Precision of its blocks."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Tensor: ...


class Loss(Protocol):
    """A convex loss per row, over margins U (n, k); `rows` says which rows a block holds."""

    @property
    def n_samples(self) -> int:
        """Rows, n."""
        ...

    @property
    def n_columns(self) -> int:
        """Columns of logits, k."""
        ...

    @property
    def prevalence(self) -> Tensor:
        """Mean of each target column, shape (k,), float64."""
        ...

    def anchor(self, Z: Tensor, rows: slice) -> None:
        """Turn logits, or a direction of logits, into margins, in place."""
        ...

    def residual(self, U: Tensor, rows: slice, *, out: Tensor) -> Tensor:
        """Write dloss/dlogits to `out` (b, k) and return the losses of the rows, shape (b,)."""
        ...

    def along(self, U: Tensor, V: Tensor, step: float) -> tuple[Tensor, Tensor]:
        """First and second derivative in `step` of the rows' losses at U + step V, (b,) each."""
        ...

    def curvature(self, U: Tensor, *, diagonal: bool) -> Tensor:
        """Mean Hessian of the loss in the logits: (k, k), or (k,) if it is or may be diagonal."""
        ...

    def start(self) -> Tensor:
        """Return the intercepts that are optimal for zero weights, shape (k,), float64."""
        ...


class Softmax:
    """Cross-entropy of a softmax over k >= 3 columns.

    Parameters
    ----------
    codes
        Class of each row, shape (n,), int64; each of the k classes occurs.
    n_columns
        k.
    """

    def __init__(self, codes: Tensor, n_columns: int) -> None:
        self.codes = codes[:, None]
        self.n_columns = n_columns
        self.n_samples = len(codes)
        counts = torch.bincount(codes, minlength=n_columns).double()
        self.prevalence = counts / len(codes)

    def anchor(self, Z: Tensor, rows: slice) -> None:
        """Subtract the logit of the truth."""
        Z -= Z.gather(1, self.codes[rows])

    def residual(self, U: Tensor, rows: slice, *, out: Tensor) -> Tensor:
        """Write p - e_y; the loss is log Σ_j exp u_j, where u_y = 0."""
        top = U.amax(1, keepdim=True)  # (b, 1), >= 0 since the margin of the truth is 0
        P = torch.exp(torch.sub(U, top, out=out), out=out)
        P.scatter_(1, self.codes[rows], 0.0)
        others = P.sum(1, keepdim=True)
        total = others + torch.exp(-top)
        P /= total
        miss = others / total  # 1 - p_y without the cancellation
        P.scatter_(1, self.codes[rows], -miss)
        return torch.where(miss < 0.5, -torch.log1p(-miss), top + torch.log(total))[:, 0]

    def along(self, U: Tensor, V: Tensor, step: float) -> tuple[Tensor, Tensor]:
        """Mean and variance of V under the probabilities."""
        T = _softmax(torch.add(U, V, alpha=step)).mul_(V)
        slope = T.sum(1)
        return slope, T.mul_(V).sum(1) - slope.square()

    def curvature(self, U: Tensor, *, diagonal: bool) -> Tensor:
        """Return E[diag p - p pᵀ], or its diagonal."""
        P = _softmax(U.clone()).double()
        if diagonal:
            return (P - P.square()).mean(0)
        return torch.diag(P.mean(0)) - P.T @ P / len(P)

    def start(self) -> Tensor:
        """Return the log frequencies, in the gauge of mean zero."""
        b = self.prevalence.log()
        return b - b.mean()


class Sigmoid:
    """Sum of the binary cross-entropies of k independent columns; k = 1 is binary regression.

    Parameters
    ----------
    indicator
        Shape (n, k), bool; no column is constant.
    """

    def __init__(self, indicator: Tensor) -> None:
        self.n_samples, self.n_columns = indicator.shape
        self.prevalence = indicator.double().mean(0)
        self.sign = logits_like(indicator.shape, torch.int8, indicator.device)
        self.sign.copy_(1 - 2 * indicator.to(torch.int8))

    def anchor(self, Z: Tensor, rows: slice) -> None:
        """Multiply by 1 - 2y."""
        Z *= self.sign[rows]

    def residual(self, U: Tensor, rows: slice, *, out: Tensor) -> Tensor:
        """Write p - y; the loss is log(1 + exp u), summed over columns."""
        torch.sigmoid(U, out=out).mul_(self.sign[rows])
        return -torch.nn.functional.logsigmoid(-U).sum(1)

    def along(self, U: Tensor, V: Tensor, step: float) -> tuple[Tensor, Tensor]:
        """Σ p v and Σ p (1 - p) v² over columns."""
        P = torch.add(U, V, alpha=step).sigmoid_()
        slope = (P * V).sum(1)
        return slope, P.mul_(1 - P).mul_(V).mul_(V).sum(1)

    def curvature(self, U: Tensor, *, diagonal: bool) -> Tensor:
        """Return E[p (1 - p)], which is all there is."""
        P = torch.sigmoid(U).double()
        return (P * (1 - P)).mean(0)

    def start(self) -> Tensor:
        """Return the logits of the frequencies."""
        return torch.logit(self.prevalence)


class Objective:
    """Mean loss plus ridge/2 ‖W‖², in the coordinates of a centred design matrix.

    Parameters
    ----------
    design
        Shape (n, r).
    loss
        Over k columns.
    ridge
        λ = 1 / (C n): this is scikit-learn's objective divided by C n.
    dtype
        Precision of parameters, logits and products; blocks of `design` are cast to it.

    Notes
    -----
    Parameters, gradients and directions are class-major tensors (k, r + 1): weights, then the
    intercept, which is not penalised.
    """

    def __init__(self, design: Design, loss: Loss, ridge: float, *, dtype: torch.dtype) -> None:
        self.design, self.loss, self.ridge, self.dtype = design, loss, ridge, dtype
        n, k = len(design), loss.n_columns
        cuda = design.device.type == "cuda"
        self._rows_per_block = max(256, (_CUDA_ELEMENTS if cuda else _CPU_ELEMENTS) // k)
        narrow = not cuda and k < CLASS_MAJOR_BELOW
        self.passes = 0.0  # a product with X and one with its transpose
        self._rows_per_product = _CACHE_ROWS if narrow else n if design.dtype == dtype else 2**14

    def new_margins(self) -> Tensor:
        """Return an uninitialised (n, k) buffer in the layout that is fast for k."""
        shape = torch.Size((self.loss.n_samples, self.loss.n_columns))
        return logits_like(shape, self.dtype, self.design.device)

    def margins(self, theta: Tensor, *, out: Tensor) -> Tensor:
        """Margins of the parameters, or the direction, `theta`; half a pass over the data."""
        self.passes += 0.5
        W, b = theta[:, :-1].contiguous(), theta[:, -1]
        for rows in blocks(len(out), self._rows_per_product):
            torch.addmm(b, self.design[rows].to(self.dtype), W.T, out=out[rows])
        for rows in blocks(len(out), self._rows_per_block):
            self.loss.anchor(out[rows], rows)
        return out

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
        for rows in blocks(len(U), self._rows_per_product):
            # Class-major, (k, b) x (b, r), is up to 2.5 times faster than its transpose.
            G.addmm_(scratch[rows].T, self.design[rows].to(self.dtype))
        G.div_(len(U)).add_(W, alpha=self.ridge)
        value = loss + 0.5 * self.ridge * dot(W, W)
        return value, torch.cat([G, intercept_gradient.to(self.dtype)[:, None]], dim=1)

    def along(self, U: Tensor, V: Tensor, step: float) -> tuple[float, float]:
        """First and second derivative of the mean loss (no penalty) in `step` at U + step V."""
        totals = torch.zeros(2, dtype=torch.float64, device=U.device)
        for rows in blocks(len(U), self._rows_per_block):
            first, second = self.loss.along(U[rows], V[rows], step)
            totals += torch.stack([first.sum(dtype=torch.float64), second.sum(dtype=torch.float64)])
        slope, curvature = (totals / len(U)).tolist()
        return slope, curvature

    def shift(self, delta: Tensor, *, out: Tensor) -> Tensor:
        """Margins of a change `delta` (k,) of the intercepts; no pass."""
        out.copy_(delta)
        for rows in blocks(len(out), self._rows_per_block):
            self.loss.anchor(out[rows], rows)
        return out

    def class_curvature(self, U: Tensor) -> Tensor:
        """Mean Hessian in the logits over an even sample of rows that is ample for k columns.

        Shape (k, k), or (k,) where only the diagonal is worth its price.
        """
        stride = max(1, len(U) // max(8 * U.shape[1], 8192))
        return self.loss.curvature(U[::stride], diagonal=U.shape[1] >= DIAGONAL_FROM)


def dot(a: Tensor, b: Tensor) -> float:
    """Inner product of two equally shaped tensors, accumulated in float64."""
    return (a * b).sum(dtype=torch.float64).item()


def logits_like(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return an empty (n, k) tensor: stored class-major on a CPU when k is small."""
    n, k = shape
    if device.type == "cpu" and k < CLASS_MAJOR_BELOW:
        return torch.empty(k, n, dtype=dtype, device=device).T
    return torch.empty(n, k, dtype=dtype, device=device)


def _softmax(Z: Tensor) -> Tensor:
    """Softmax over columns, in place; torch.softmax would copy a class-major block."""
    Z -= Z.amax(1, keepdim=True)
    Z.exp_()
    Z /= Z.sum(1, keepdim=True)
    return Z
