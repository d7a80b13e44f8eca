"""HeadStack: linear heads over the same columns, trained as one tall matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from featstore.probes.design import padded_width, write_features
from featstore.probes.training_plan import Plan


@dataclass(frozen=True)
class HeadSettings:
    """What may differ between heads over the same columns.

    Attributes
    ----------
    lr
        Learning rate before the schedule.
    weight_decay
        As the optimiser takes it.
    """

    lr: float
    weight_decay: float


class HeadStack:
    """The parameters of h heads over the same d columns, k logits each.

    Parameters
    ----------
    settings
        Of each head.
    columns
        Those of the features that the heads see; None for all.
    plan
        Of the training.
    start
        Weights and bias that every head starts from, shape (k, d + 1).
    device
        Where all this is.
    batch_size
        Most rows of a batch.

    Attributes
    ----------
    theta
        Parameters, shape (h k, `padded_width(d)`), float32: weights, bias, zeros.
    sums
        Losses and right answers, summed over rows and steps, shape (2, h), float64; whoever
        reads them sets them back.
    """

    def __init__(
        self,
        settings: Sequence[HeadSettings],
        columns: Tensor | None,
        plan: Plan,
        *,
        start: Tensor,
        device: torch.device,
        batch_size: int,
    ) -> None:
        self._columns, self._plan, self._half = columns, plan, plan.products == "float16"
        self._heads, (k, width) = len(settings), start.shape
        self._dim = width - 1
        self.theta = torch.zeros(self._heads * k, padded_width(self._dim), device=device)
        self.theta[:, :width] = start.to(device).repeat(self._heads, 1)
        self._gradient = torch.zeros_like(self.theta)
        self._states = [torch.zeros_like(self.theta) for _ in range(plan.update.n_states)]
        # Rows of logits are apart by no power of two, which would map to few lines of the cache.
        self._logits = torch.empty(len(self.theta), padded_width(batch_size), device=device)
        self._design: Tensor | None = None
        if columns is not None:
            self._design = plan.new_design(batch_size, self._dim, device)
        self.sums = torch.zeros(2, self._heads, dtype=torch.float64, device=device)
        self._losses, self._rights = self.sums

        def per_row(values: list[float]) -> Tensor:
            return torch.tensor(values, device=device).repeat_interleave(k)[:, None]

        self._rates = per_row([head.lr for head in settings])
        self._decay: Tensor | None = None
        if any(head.weight_decay for head in settings):
            self._decay = per_row([head.weight_decay for head in settings])
            if not plan.decay_bias:
                decayed = torch.arange(self.theta.shape[1], device=device) < self._dim
                self._decay = self._decay * decayed

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.theta.device

    @property
    def tensors(self) -> list[Tensor]:
        """All that steps change, for a copy of it to be put back."""
        return [self.theta, *self._states, self.sums]

    def forward(self, X: Tensor, rows: slice) -> None:
        """Compute the logits of some rows of a batch.

        Parameters
        ----------
        X
            Their design block, shape (b, `padded_width(all columns)`).
        rows
            Where they are in the batch.
        """
        if self._design is not None:
            write_features(X[:, self._columns], self._design[rows], normalise=self._plan.normalise)
            X = self._design[rows]
        self._multiply(self.theta, X.T, out=self._logits[:, rows])

    def backward(self, X: Tensor, targets: Tensor) -> None:
        """Turn the logits of a batch into the gradient.

        Parameters
        ----------
        X
            Design of the batch.
        targets
            From the loss.
        """
        n = X.shape[0]
        if self._design is not None:
            X = self._design[:n]
        Z = self._logits[:, :n]
        self._plan.loss.residual(
            Z.view(self._heads, -1, n), targets, losses=self._losses, rights=self._rights
        )
        if self._half:
            self._multiply(Z, X, out=self._gradient).div_(n)
        else:
            self._gradient.addmm_(Z, X, beta=0.0, alpha=1 / n)

    def step(self, coefficients: Sequence[float] | Tensor) -> None:
        """Update the parameters by the gradient accumulated."""
        self._plan.update.apply(
            self.theta,
            self._gradient,
            self._states,
            rates=self._rates,
            decay=self._decay,
            coefficients=coefficients,
        )

    def weights(self) -> Tensor:
        """Weights and bias of each head, shape (h, k, d + 1), on the CPU."""
        k = len(self.theta) // self._heads
        return self.theta[:, : self._dim + 1].reshape(self._heads, k, -1).cpu()

    def _multiply(self, left: Tensor, right: Tensor, *, out: Tensor) -> Tensor:
        """Product in float32; with float16 products only its operands are rounded."""
        if not self._half:
            return torch.mm(left, right, out=out)
        if out.is_cuda:
            return torch.mm(left.half(), right, out_dtype=torch.float32, out=out)
        return torch.mm(left.half().float(), right, out=out)
