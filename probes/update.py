"""Update: the rules of torch's optimisers, over the stacked parameters of many heads.

What changes from step to step comes as numbers or as a tensor of them, so that a captured CUDA
graph can be replayed with those of other steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Update(Protocol):
    """An optimiser."""

    @property
    def n_states(self) -> int:
        """Tensors of the parameters' shape that it keeps."""
        ...

    def coefficients(self, factors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Numbers of each step, shape (n_steps, c), from the schedule's factors (n_steps,)."""
        ...

    def apply(
        self,
        theta: Tensor,
        gradient: Tensor,
        states: Sequence[Tensor],
        *,
        rates: Tensor,
        decay: Tensor | None,
        coefficients: Sequence[float] | Tensor,
    ) -> None:
        """Take one step in place; the gradient is used up.

        Parameters
        ----------
        theta, gradient, states
            Shape (m, d).
        rates
            Base learning rate of each row, shape (m, 1).
        decay
            Weight decay of each number, of a shape that broadcasts to (m, d); None for none.
        coefficients
            Of this step, shape (c,).
        """
        ...


@dataclass(frozen=True)
class Momentum:
    """`torch.optim.SGD`; weight decay is part of the gradient."""

    momentum: float
    nesterov: bool

    n_states = 1

    def coefficients(self, factors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the factor alone."""
        return factors[:, None]

    def apply(
        self,
        theta: Tensor,
        gradient: Tensor,
        states: Sequence[Tensor],
        *,
        rates: Tensor,
        decay: Tensor | None,
        coefficients: Sequence[float] | Tensor,
    ) -> None:
        """Take one step in place."""
        (velocity,) = states
        if decay is not None:
            gradient.addcmul_(theta, decay)
        torch.add(gradient, velocity, alpha=self.momentum, out=velocity)
        if self.nesterov:
            gradient.add_(velocity, alpha=self.momentum)
        theta.addcmul_(gradient if self.nesterov else velocity, rates * coefficients[0], value=-1.0)


@dataclass(frozen=True)
class Adam:
    """`torch.optim.AdamW` where `decoupled`, else `torch.optim.Adam`."""

    betas: tuple[float, float]
    decoupled: bool
    eps: float = 1e-8

    n_states = 2

    def coefficients(self, factors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the factor, and it over the bias correction; the second moment's, as a root."""
        steps = np.arange(1, len(factors) + 1)
        first, second = (1 - beta**steps for beta in self.betas)
        return np.stack([factors, factors / first, np.sqrt(second)], axis=1)

    def apply(
        self,
        theta: Tensor,
        gradient: Tensor,
        states: Sequence[Tensor],
        *,
        rates: Tensor,
        decay: Tensor | None,
        coefficients: Sequence[float] | Tensor,
    ) -> None:
        """Take one step in place."""
        mean, square = states
        if decay is not None and self.decoupled:
            theta.mul_(1 - rates * coefficients[0] * decay)
        elif decay is not None:
            gradient.addcmul_(theta, decay)
        mean.lerp_(gradient, 1 - self.betas[0])
        square.mul_(self.betas[1]).addcmul_(gradient, gradient, value=1 - self.betas[1])
        torch.sqrt(square, out=gradient).div_(coefficients[2]).add_(self.eps)
        theta.addcdiv_(mean * (rates * coefficients[1]), gradient, value=-1.0)
