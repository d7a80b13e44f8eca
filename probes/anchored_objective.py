"""AnchoredObjective: an objective whose steps cost bfloat16 products, around an exact anchor."""

from __future__ import annotations

import torch
from torch import Tensor

from featstore.probes.inputs import blocks
from featstore.probes.loss import CLASS_MAJOR_BELOW, Loss
from featstore.probes.objective import Objective, dot

_ROWS_PER_PRODUCT = 8192  # rounded sums of so many rows are added up in float32


class AnchoredObjective(Objective):
    """Mean loss plus ridge/2 ‖W‖², known exactly at an anchor and by cheap products around it.

    Gradients are those of the anchor plus Xᵀ (R - R₀) / n with X, and the change of the residuals
    R, in bfloat16; margins are those of the anchor plus steps in bfloat16.  All rounding, about
    2⁻⁸, is thus relative to how far the anchor is, as in iterative refinement (Wilkinson 1963,
    §3): each anchor lets the solver come nearer by a factor, to any precision that the exact
    products have.

    Parameters
    ----------
    design
        Shape (n, r), float32.
    rounded_design
        The same in bfloat16.
    loss, ridge
        As for `Objective`.
    """

    def __init__(self, design: Tensor, rounded_design: Tensor, loss: Loss, ridge: float) -> None:
        super().__init__(design, loss, ridge, dtype=torch.float32)
        self.rounded = True
        self._rounded_design = rounded_design
        self._class_major = loss.n_columns < CLASS_MAJOR_BELOW and design.device.type == "cpu"
        self._residual = self.new_margins()  # at the anchor, as is the next
        self._loss_gradient = design.new_empty(0)

    def anchor(self, theta: Tensor, U: Tensor, *, scratch: Tensor) -> tuple[float, Tensor]:
        """Value and gradient at `theta`, not rounded, which the next steps start from."""
        value, gradient = super().value_and_gradient(theta, U, scratch=scratch)
        if self.rounded:
            self._residual.copy_(scratch)
            self._loss_gradient = gradient[:, :-1] - self.ridge * theta[:, :-1]
        return value, gradient

    def step_exactly(self) -> None:
        """Round no more from here on."""
        self.rounded = False
        self._residual = self._residual.new_empty(0)

    def step_margins(self, direction: Tensor, *, out: Tensor) -> Tensor:
        """Margins of a direction, rounded; half a pass, over half as many bytes."""
        if not self.rounded:
            return super().step_margins(direction, out=out)
        self.passes += 0.5
        W, b = direction[:, :-1].bfloat16(), direction[:, -1]
        for rows in blocks(len(out), _ROWS_PER_PRODUCT):
            X = self._rounded_design[rows]
            if self._class_major:
                torch.add(W @ X.T, b[:, None], out=out[rows].T)
            else:
                torch.add(X @ W.T, b, out=out[rows])
        return self._relative(out)

    def value_and_gradient(
        self, theta: Tensor, U: Tensor, *, scratch: Tensor
    ) -> tuple[float, Tensor]:
        """Value and gradient (k, r + 1) at `theta`, whose margins are U, seen from the anchor."""
        if not self.rounded:
            return super().value_and_gradient(theta, U, scratch=scratch)
        loss, intercept_gradient = self.loss_and_residual(U, out=scratch)
        self.passes += 0.5
        W = theta[:, :-1]
        G = torch.zeros_like(W, memory_format=torch.contiguous_format)
        for rows in blocks(len(U), _ROWS_PER_PRODUCT):
            change = scratch[rows].sub_(self._residual[rows])
            G += change.T.bfloat16() @ self._rounded_design[rows]
        G.div_(len(U)).add_(self._loss_gradient).add_(W, alpha=self.ridge)
        value = loss + 0.5 * self.ridge * dot(W, W)
        return value, torch.cat([G, intercept_gradient.to(self.dtype)[:, None]], dim=1)
