"""MLPNetwork: one hidden layer between features and logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from featstore.probes.head_network import Parts
from featstore.probes.initial_weights import linear_start

Activation = Literal["gelu", "relu"]


@dataclass(frozen=True)
class MLPNetwork:
    """Linear, activation, dropout, Linear.

    Attributes
    ----------
    dim, width, n_columns
        Features d, hidden units w and logits k.
    activation
        ``"gelu"`` (with the error function, not its approximation) or ``"relu"``.
    dropout
        Share of hidden units set to zero in a step; all heads of a stack lose the same ones.

    Examples
    --------
    >>> network = MLPNetwork(dim=64, width=32, n_columns=10, activation="gelu", dropout=0.0)
    >>> start = network.start(torch.Generator().manual_seed(0))
    >>> {name: tuple(values.shape) for name, values in start.items()}
    {'hidden_weight': (32, 64), 'hidden_bias': (32,), 'weight': (10, 32), 'bias': (10,)}
    """

    dim: int
    width: int
    n_columns: int
    activation: Activation
    dropout: float

    def start(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw what two `torch.nn.Linear` layers draw, one after the other."""
        hidden_weight, hidden_bias = linear_start(self.width, self.dim, generator)
        weight, bias = linear_start(self.n_columns, self.width, generator)
        return {
            "hidden_weight": hidden_weight,
            "hidden_bias": hidden_bias,
            "weight": weight,
            "bias": bias,
        }

    def logits(
        self, parts: Parts, X: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Compute logits (h, k, b) of rows (b, d); see `HeadNetwork.logits`."""
        # The heads share the rows: their hidden layers are one tall product.
        hidden = torch.addmm(
            parts["hidden_bias"].flatten()[:, None], parts["hidden_weight"].flatten(0, 1), X.T
        )  # (h w, b)
        act = functional.gelu if self.activation == "gelu" else functional.relu
        hidden = act(hidden).view(-1, self.width, len(X))
        if generator is not None and self.dropout:
            kept = torch.rand(self.width, len(X), generator=generator) >= self.dropout
            hidden = hidden * (kept / (1 - self.dropout)).to(hidden)
        return torch.baddbmm(parts["bias"][:, :, None], parts["weight"], hidden)

    def numbers_per_row(self, n_heads: int) -> int:
        """Features, hidden units before and after the activation, logits."""
        return self.dim + n_heads * (2 * self.width + self.n_columns)

    def operations_per_row(self, n_heads: int) -> float:
        """Two products."""
        return 2.0 * n_heads * self.width * (self.dim + self.n_columns)
