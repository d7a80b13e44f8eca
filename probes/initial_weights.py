"""Initial weights: where heads start."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from featstore.errors import InvalidInputError

Initialisation = Literal["normal", "linear", "zeros"]


def initial_weights(
    kind: Initialisation, *, n_columns: int, dim: int, std: float, seed: int
) -> Tensor:
    """Draw the weights and, last, the bias of a head.

    Parameters
    ----------
    kind
        ``"normal"``: weights from N(0, std²), bias 0.  ``"linear"``: what `torch.nn.Linear` draws
        after ``torch.manual_seed(seed)``, both uniform within ± 1 / √d.  ``"zeros"``.
    n_columns, dim
        Logits k and features d.
    std
        Of ``"normal"``.
    seed
        Of the draw.

    Returns
    -------
    theta
        Shape (k, d + 1), float32.

    Raises
    ------
    InvalidInputError
        If the kind is unknown.
    """
    if kind not in get_args(Initialisation):
        known = ", ".join(map(repr, get_args(Initialisation)))
        raise InvalidInputError(f"init must be one of {known}, got {kind!r}")
    generator = torch.Generator().manual_seed(seed)
    W, b = torch.zeros(n_columns, dim), torch.zeros(n_columns)
    if kind == "normal":
        W.normal_(0.0, std, generator=generator)
    elif kind == "linear":
        W, b = linear_start(n_columns, dim, generator)
    return torch.cat([W, b[:, None]], dim=1)


def linear_start(n_columns: int, dim: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw weights (k, d) and bias (k,) as `torch.nn.Linear` does: uniform within ± 1 / √d."""
    bound = dim**-0.5
    W, b = torch.empty(n_columns, dim), torch.empty(n_columns)
    return (
        W.uniform_(-bound, bound, generator=generator),
        b.uniform_(-bound, bound, generator=generator),
    )
