"""HeadNetwork: a head that is more than one linear map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

#: Parameters by name, those of several heads stacked along a first axis h.
Parts = Mapping[str, Tensor]


class HeadNetwork(Protocol):
    """The architecture of a head; equal ones are trained as one stack."""

    @property
    def n_columns(self) -> int:
        """Logits of a head, k."""
        ...

    def start(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw the parameters of one head, float32; weight decay spares those called ``bias``."""
        ...

    def logits(
        self, parts: Parts, X: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Compute logits of several heads.

        Parameters
        ----------
        parts
            Their parameters.
        X
            Rows (b, d), of the parameters' dtype.
        generator
            On the CPU, for what is random in training; None when predicting.

        Returns
        -------
        logits
            Class-major, shape (h, k, b).
        """
        ...

    def numbers_per_row(self, n_heads: int) -> int:
        """Count the numbers that the logits of one row take on the way."""
        ...

    def operations_per_row(self, n_heads: int) -> float:
        """Count the operations that the logits of one row take, roughly."""
        ...
