"""The training of a head as it is usually written: nn.Module, AdamW and autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


def module_loop(
    module: nn.Module,
    X: NDArray[Any],
    y: NDArray[Any],
    batches: Callable[[int], NDArray[np.int64]],
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float],
    n_steps: int,
    n_warmup: int,
) -> list[float]:
    """Train a module in place; biases do not decay.  Returns the loss of every step."""
    rows, labels = torch.from_numpy(np.asarray(X, np.float32)), torch.from_numpy(np.asarray(y))
    weights = [value for name, value in module.named_parameters() if "bias" not in name]
    biases = [value for name, value in module.named_parameters() if "bias" in name]
    groups = [{"params": weights, "weight_decay": weight_decay}, {"params": biases}]
    descent = torch.optim.AdamW(groups, lr=0.0, weight_decay=0.0, betas=betas)
    rise = np.linspace(0, 1, n_warmup)
    fall = (1 + np.cos(np.linspace(0, np.pi, n_steps - n_warmup))) / 2
    losses = []
    for step, share in enumerate(np.concatenate([rise, fall])):
        for group in descent.param_groups:
            group["lr"] = lr * share
        batch = torch.from_numpy(batches(step))
        logits = module(rows[batch])
        if labels.ndim == 2:
            loss = nn.functional.binary_cross_entropy_with_logits(logits, labels[batch].float())
        else:
            loss = nn.functional.cross_entropy(logits, labels[batch])
        descent.zero_grad()
        loss.backward()
        descent.step()
        losses.append(loss.item())
    return losses
