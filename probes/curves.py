"""Curves: what heads did on their training rows, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.probes.trainable import Trainable


@dataclass(frozen=True, eq=False)
class Curve:
    """A head's training, for plotting.

    Attributes
    ----------
    lr
        Learning rate at the first step of each epoch, shape (epochs,).
    loss, accuracy
        Means over the rows of each epoch as the head saw them, before it was updated by them,
        shape (epochs,).  With several labels, accuracy is the share of labels that are right.
    """

    lr: NDArray[np.float64]
    loss: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    def divergence(self, parameters: Iterable[Tensor]) -> int | None:
        """Return the epoch, from 1, in which loss or parameters ceased to be finite; None."""
        bad = np.flatnonzero(~np.isfinite(self.loss))
        if len(bad):
            return int(bad[0]) + 1
        finite = all(bool(values.isfinite().all()) for values in parameters)
        return None if finite else len(self.loss)


@dataclass(frozen=True)
class Training:
    """A training in numbers.

    Attributes
    ----------
    lr, weight_decay
        Of the head; the learning rate before the schedule.
    epochs
        Passes over the rows.
    loss, accuracy
        Means of the last epoch.
    """

    lr: float
    weight_decay: float
    epochs: int
    loss: float
    accuracy: float

    @classmethod
    def of(cls, curve: Curve, *, lr: float, weight_decay: float) -> Training:
        """Sum up a curve."""
        last = float(curve.loss[-1]), float(curve.accuracy[-1])
        return cls(lr, weight_decay, len(curve.loss), *last)


class CurveRecorder:
    """Reads the sums of stacks of heads at the end of each epoch.

    Parameters
    ----------
    stacks
        Being trained.
    """

    def __init__(self, stacks: Sequence[Trainable]) -> None:
        self._stacks = stacks
        self._epochs: list[Tensor] = []

    def close_epoch(self, n_rows: int) -> bool:
        """Keep the means over the epoch's rows; return whether any head is still finite."""
        sums = torch.cat([stack.sums for stack in self._stacks], dim=1).cpu()  # (2, heads)
        for stack in self._stacks:
            stack.sums.zero_()
        self._epochs.append(sums / n_rows)
        return bool(sums[0].isfinite().any())

    def means(self) -> NDArray[np.float64]:
        """Losses and accuracies of all heads, stack by stack, shape (epochs, 2, heads)."""
        return torch.stack(self._epochs).numpy()
