"""NetworkStack: heads of one architecture, trained side by side by automatic differentiation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from featstore.probes.head_network import HeadNetwork
from featstore.probes.head_stack import HeadSettings
from featstore.probes.training_plan import Plan


class NetworkStack:
    """The parameters of h heads of the same network; a `featstore.probes.trainable.Trainable`.

    No head has an influence on another: each becomes what it would be alone, up to rounding.

    Parameters
    ----------
    network
        Architecture.
    settings
        Of each head.
    plan
        Of the training.
    seed
        Of the start, from which all heads set out, and of what is random in a step.
    device
        Where all this is.

    Attributes
    ----------
    network
        As given.
    parts
        Parameters by name, shape (h, ...), float32.
    sums
        Losses and right answers, summed over rows and steps, shape (2, h), float64.
    device
        As given.
    """

    def __init__(
        self,
        network: HeadNetwork,
        settings: Sequence[HeadSettings],
        plan: Plan,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        self.network, self.device = network, device
        self._plan, self._heads = plan, len(settings)
        self._generator = torch.Generator().manual_seed(seed)
        self.parts = {
            name: values.to(device).repeat(self._heads, *[1] * values.ndim).requires_grad_()
            for name, values in network.start(self._generator).items()
        }
        self._states = {
            name: [torch.zeros_like(self._flat(part)) for _ in range(plan.update.n_states)]
            for name, part in self.parts.items()
        }
        self._gradients: tuple[Tensor, ...] = ()
        self.sums = torch.zeros(2, self._heads, dtype=torch.float64, device=device)

        def per_head(values: list[float]) -> Tensor:
            return torch.tensor(values, device=device)[:, None]

        self._rates = per_head([head.lr for head in settings])
        self._decay = per_head([head.weight_decay for head in settings])

    def forward(self, X: Tensor, rows: slice) -> None:
        """Do nothing: a batch is taken in whole, by `backward`."""

    def backward(self, X: Tensor, targets: Tensor) -> None:
        """Find the gradient of a batch.

        Parameters
        ----------
        X
            Its design, whose first columns are the features.
        targets
            From the loss.
        """
        losses, rights = self.sums
        with torch.enable_grad():
            logits = self.network.logits(
                self.parts, X[:, : self._plan.dim], generator=self._generator
            )
        residual = logits.detach().clone()
        self._plan.loss.residual(residual, targets, losses=losses, rights=rights)
        self._gradients = torch.autograd.grad(
            logits, list(self.parts.values()), residual.div_(len(X))
        )

    def step(self, coefficients: Sequence[float] | Tensor) -> None:
        """Update the parameters by the gradient."""
        for (name, part), gradient in zip(self.parts.items(), self._gradients, strict=True):
            self._plan.update.apply(
                self._flat(part),
                gradient.reshape(self._heads, -1),
                self._states[name],
                rates=self._rates,
                decay=None if "bias" in name and not self._plan.decay_bias else self._decay,
                coefficients=coefficients,
            )

    def _flat(self, part: Tensor) -> Tensor:
        """View parameters as rows of numbers, shape (h, m), that may be changed in place."""
        return part.detach().view(self._heads, -1)
