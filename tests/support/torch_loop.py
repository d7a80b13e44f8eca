"""Linear evaluation as it is usually written: nn.Linear, torch.optim and autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim.lr_scheduler import CosineAnnealingLR


def torch_loop(
    X: NDArray[Any],
    y: NDArray[Any],
    batches: Callable[[int], NDArray[np.int64]],
    n_steps: int,
    *,
    optimizer: Callable[..., torch.optim.Optimizer],
    start: tuple[torch.Tensor, torch.Tensor],
    step_schedule: Callable[[int], bool] = lambda step: True,
    n_schedule: int | None = None,
    decay_bias: bool = True,
    dtype: torch.dtype = torch.float32,
) -> tuple[NDArray[Any], NDArray[Any], list[float]]:
    """Weights, biases and the loss of every step; y is codes (n,) or an indicator (n, c)."""
    rows = torch.from_numpy(np.asarray(X)).to(dtype)
    labels = torch.from_numpy(np.asarray(y))
    model = torch.nn.Linear(rows.shape[1], len(start[1]), dtype=dtype)
    with torch.no_grad():
        model.weight.copy_(start[0])
        model.bias.copy_(start[1])
    parameters: Any = model.parameters()
    if not decay_bias:
        parameters = [{"params": [model.weight]}, {"params": [model.bias], "weight_decay": 0.0}]
    descent = optimizer(parameters)
    schedule = CosineAnnealingLR(descent, n_schedule or n_steps)
    losses = []
    for step in range(n_steps):
        batch = torch.from_numpy(batches(step))
        if labels.ndim == 2:
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                model(rows[batch]), labels[batch].to(dtype)
            )
        else:
            loss = torch.nn.functional.cross_entropy(model(rows[batch]), labels[batch])
        descent.zero_grad()
        loss.backward()
        descent.step()
        if step_schedule(step):
            schedule.step()
        losses.append(loss.item())
    return model.weight.detach().numpy(), model.bias.detach().numpy(), losses
