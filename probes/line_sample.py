"""LineSample: a look along a line at some of the rows, before a pass over all is paid for."""

from __future__ import annotations

import torch
from torch import Tensor

from featstore.probes.centred_rows import CentredRows, Design
from featstore.probes.lbfgs import line_search
from featstore.probes.loss import Loss, logits_like
from featstore.probes.objective import dot

_ABOUT_ONE = 3.0  # within this factor the quasi-Newton model knows better than a sample


class LineSample:
    """Rows at equal distances, and the line search of `featstore.probes.lbfgs` on their margins.

    Where classes are many, quasi-Newton steps are far too long at first; how long they should be,
    a few hundred rows know nearly as well as a million.

    Parameters
    ----------
    design, loss, ridge, dtype
        As for `featstore.probes.objective.Objective`.
    n_rows
        Rows to look at, at most.
    """

    def __init__(
        self, design: Design, loss: Loss, ridge: float, *, dtype: torch.dtype, n_rows: int
    ) -> None:
        n = len(design)
        self.ridge, self._loss = ridge, loss
        self._rows = slice(0, n, -(-n // n_rows))
        if isinstance(design, CentredRows):
            self._X = design.take(torch.arange(n)[self._rows]).to(dtype)
        else:
            self._X = design[self._rows].to(dtype)
        shape = torch.Size((len(self._X), loss.n_columns))
        self._U, self._V = (logits_like(shape, dtype, design.device) for _ in range(2))

    def step(self, theta: Tensor, direction: Tensor, slope: float) -> float:
        """Length of a step along `direction`, where all rows together have the slope `slope`."""
        U, V = self._margins(theta, self._U), self._margins(direction, self._V)
        self._offset = 0.0
        own = self.along(U, V, 0.0)[0] + self.ridge * dot(theta[:, :-1], direction[:, :-1])
        # Near the minimum a sample's slope is all noise; how it changes along the line is not.
        self._offset = slope - own
        step = line_search(self, theta, direction, U, V, slope)
        return 1.0 if 1 / _ABOUT_ONE <= step <= _ABOUT_ONE else step

    def along(self, U: Tensor, V: Tensor, step: float) -> tuple[float, float]:
        """First and second derivative of the mean loss in `step` at U + step V."""
        first, second = self._loss.along(U, V, step, self._rows)
        slope = first.mean(dtype=torch.float64).item() + self._offset
        return slope, second.mean(dtype=torch.float64).item()

    def _margins(self, theta: Tensor, out: Tensor) -> Tensor:
        torch.addmm(theta[:, -1], self._X, theta[:, :-1].T, out=out)
        self._loss.anchor(out, self._rows)
        return out
