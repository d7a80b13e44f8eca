"""SoftmaxStack: many logistic regressions of one shape, evaluated by batched products."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

_SETTLE_ITERATIONS = 20
_UNLIKELY = 1e-300  # keeps the logarithm finite where a trial step overshoots


@dataclass(frozen=True, eq=False)
class SoftmaxStack:
    """Mean cross-entropy plus ridge/2 ‖W‖² of s problems with n rows, r columns and k classes.

    Parameters, gradients and directions are class-major tensors (s, k, r + 1): weights, then the
    intercept, which is not penalised.  Logits are (s, k, n).

    Attributes
    ----------
    design
        Centred rows and a column of ones, shape (s, n, r + 1), float64.
    eigenvalues
        Mean squares of the rows' columns, which are orthogonal, shape (s, r).
    codes
        Class of each row, shape (s, n), int64; every class occurs in every problem.
    prevalence
        Shares of the classes, shape (s, k).
    ridge
        λ = 1 / (C n) of each problem, shape (s,).
    """

    design: Tensor
    eigenvalues: Tensor
    codes: Tensor
    prevalence: Tensor
    ridge: Tensor

    @classmethod
    def of(cls, design: Tensor, eigenvalues: Tensor, codes: Tensor, ridge: Tensor) -> Self:
        """Count the classes, and append the ones to centred rows (s, n, r); see `SoftmaxStack`."""
        shares = torch.nn.functional.one_hot(codes).double().mean(dim=1)
        design = torch.nn.functional.pad(design, (0, 1), value=1.0)
        return cls(design, eigenvalues, codes, shares, ridge)

    def __len__(self) -> int:
        return len(self.design)

    def take(self, problems: Tensor) -> Self:
        """Return some of the problems."""
        return type(self)(
            self.design[problems],
            self.eigenvalues[problems],
            self.codes[problems],
            self.prevalence[problems],
            self.ridge[problems],
        )

    def with_ridge(self, ridge: Tensor) -> Self:
        """Return the same problems with other penalties, shape (s,)."""
        return replace(self, ridge=ridge)

    def start(self) -> Tensor:
        """Parameters with weights zero and the intercepts that are optimal for them."""
        b = self.prevalence.log()
        theta = b.new_zeros(*b.shape, self.design.shape[2])
        theta[:, :, -1] = b - b.mean(dim=1, keepdim=True)
        return theta

    def logits(self, theta: Tensor) -> Tensor:
        """Logits of parameters, or of a direction; half a pass."""
        return theta @ self.design.mT

    def value_and_gradient(self, theta: Tensor, P: Tensor) -> tuple[Tensor, Tensor]:
        """Values (s,) and gradients at parameters whose probabilities are P; half a pass."""
        n = self.codes.shape[1]
        W = theta[:, :, :-1]
        R, miss = self._residual(P)
        own = P.gather(1, self.codes[:, None, :])
        losses = torch.where(miss < 0.5, -torch.log1p(-miss), -own.clamp_min(_UNLIKELY).log())
        loss = losses.mean(dim=(1, 2))
        gradient = (R @ self.design).div_(n)
        gradient[:, :, :-1].addcmul_(self.ridge[:, None, None], W)
        return loss + self.ridge / 2 * _inner(W, W), gradient

    def _residual(self, P: Tensor) -> tuple[Tensor, Tensor]:
        """Return p - e_y, the derivatives of the losses, and 1 - p_y (s, 1, n), uncancelled."""
        truth = self.codes[:, None, :]
        R = P.scatter(1, truth, 0.0)
        miss = R.sum(dim=1, keepdim=True)
        return R.scatter_(1, truth, -miss), miss

    def class_curvature(self, P: Tensor) -> Tensor:
        """Mean Hessian in the logits, E[diag p - p pᵀ], shape (s, k, k)."""
        return torch.diag_embed(P.mean(dim=2)) - P @ P.mT / P.shape[2]

    def settle_intercepts(self, theta: Tensor) -> Tensor:
        """Minimise over the intercepts at fixed weights, in place; return the probabilities.

        Newton's method, without a pass; a step that does not shrink a problem's gradient is not
        taken.
        """
        theta[:, :, -1] -= theta[:, :, -1].mean(dim=1, keepdim=True)  # a softmax does not notice
        U = self.logits(theta)
        P = torch.softmax(U, dim=1)
        g = self._residual(P)[0].mean(dim=2)
        k = g.shape[1]
        for _ in range(_SETTLE_ITERATIONS):
            A = self.class_curvature(P)
            # The constant shift, of no effect under a softmax, gets a curvature of its own.
            scale = A.diagonal(dim1=1, dim2=2).mean(dim=1).clamp_min(_UNLIKELY)[:, None, None]
            delta = -torch.linalg.solve(A / scale + 1 / k, g[:, :, None]) / scale
            trial = torch.softmax(U + delta, dim=1)
            g_trial = self._residual(trial)[0].mean(dim=2)
            better = g_trial.norm(dim=1) < 0.5 * g.norm(dim=1)
            if not better.any():
                break
            chosen = better[:, None, None]
            theta[:, :, -1:] += torch.where(chosen, delta, 0.0)
            U = torch.where(chosen, U + delta, U)
            P, g = torch.where(chosen, trial, P), torch.where(better[:, None], g_trial, g)
        return P

    def gap_bounds(self, theta: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        """Upper bounds on value - minimum, shape (s,).

        The Fenchel duality gap ‖∇_W f‖² / (2λ) + ⟨b, g⟩, with what it takes to make the
        probabilities feasible where the intercepts' gradient g is not quite zero; derived in
        `featstore.probes.certificate.gap_bound`.
        """
        W, b, gW, g = theta[:, :, :-1], theta[:, :, -1], gradient[:, :, :-1], gradient[:, :, -1]
        excess = (g / self.prevalence).amax(dim=1).clamp_min(0.0)
        mix = excess / (1 + excess)
        G = gW - self.ridge[:, None, None] * W
        mean_loss = value - self.ridge / 2 * _inner(W, W)
        entropy = (mean_loss - _inner(G, W) - (g * b).sum(dim=1)).clamp_min(0.0)
        reach = self.eigenvalues.sum(dim=1).sqrt()  # of XᵀP / n, for probabilities P
        repair = mix * (entropy + reach / self.ridge * (_inner(G, G).sqrt() + mix * reach / 2))
        gap = _inner(gW, gW) / (2 * self.ridge) + (b * g).sum(dim=1) + repair
        return torch.minimum(gap.clamp_min(0.0), value)  # a loss is not negative


def along(U: Tensor, V: Tensor, step: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Slope and curvature (s,) of the mean losses at logits U + step V, and the probabilities."""
    P = torch.softmax(torch.addcmul(U, step[:, None, None], V), dim=1)
    T = P * V
    mean = T.sum(dim=1)  # (s, n)
    second = T.mul_(V).sum(dim=1).sub_(mean.square())
    first = mean.sub_(V.gather(1, codes[:, None, :])[:, 0])
    return first.mean(dim=1), second.mean(dim=1), P


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=(1, 2))
