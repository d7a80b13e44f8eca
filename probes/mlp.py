"""MLPProbe: one hidden layer on frozen features.  Not a linear evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import torch

from featstore.errors import InvalidInputError
from featstore.probes.curves import Curve, Training
from featstore.probes.device import DeviceName
from featstore.probes.mlp_network import Activation, MLPNetwork
from featstore.probes.network_probe import NetworkProbe
from featstore.probes.standardisation import Standardisation
from featstore.probes.stream import RowStream


@dataclass(frozen=True)
class MLPHead:
    """What differs between the heads of a grid.

    Attributes
    ----------
    width
        Hidden units.
    lr, weight_decay
        Of AdamW.
    """

    width: int
    lr: float
    weight_decay: float


@dataclass(frozen=True)
class MLPTraining(Training):
    """A training in numbers.

    Attributes
    ----------
    width
        Hidden units.
    """

    width: int


class MLPProbe(NetworkProbe):
    """A perceptron with one hidden layer: a non-linear probe.

    It tells what can be read out of features by more than a linear map; its numbers are no linear
    evaluation, and every result is labelled non-linear.  Columns are standardised by the training
    rows (constant ones become 0); the head is Linear, activation, dropout, Linear, started as
    `torch.nn.Linear` starts, and trained by AdamW on the cross-entropy, without label smoothing.
    Weight decay spares biases.  The learning rate rises linearly and falls on a cosine.  The
    trajectory is that of the same modules and `torch.optim.AdamW` on the same batches, to
    rounding in float32.

    Parameters
    ----------
    head
        Which one: position in `heads`, the grid of `widths` x `lrs` x `weight_decays`.
    widths
        Numbers of hidden units.
    lrs
        Learning rates before the schedule.
    weight_decays
        Of AdamW, apart from the gradient.
    activation
        ``"gelu"`` or ``"relu"``.
    dropout
        Share of the hidden units that a step leaves out.
    batch_size
        Rows of a step; the short last batch of an epoch is kept.
    epochs
        Passes over the rows.
    warmup
        Share of the steps in which the learning rate rises.
    max_memory
        Bytes, or e.g. ``"2GB"``.  A view with more values is not loaded but read ahead, see
        `SGDProbe`.
    device
        ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA where there is some.
    seed
        Of the weights, of the order of rows, and of dropout.

    Attributes
    ----------
    classes_
        Class labels in sorted order, shape (c,); for an indicator its column numbers.
    curve_
        `Curve`: learning rate, loss and accuracy of each epoch.
    certificate_
        `MLPTraining`: the settings of the head and its last epoch, in numbers.
    n_iter_
        Epochs.
    n_features_in_
        Columns of the training features, d.

    Notes
    -----
    With several labels the loss is the mean over rows and labels, `torch.nn.BCEWithLogitsLoss`.

    Results are bit-identical for the same input, seed, device and number of threads, wherever
    the features lie.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> probe = MLPProbe(widths=(64,), lrs=(0.01,), epochs=20).fit(X[:1000], y[:1000])
    >>> bool(probe.score(X[1000:], y[1000:]) > 0.9)
    True
    >>> MLPProbe(widths=(64, 256), lrs=(1e-3, 1e-2)).heads[2]
    MLPHead(width=256, lr=0.001, weight_decay=0.01)
    """

    def __init__(
        self,
        head: int = 0,
        *,
        widths: Sequence[int] = (512,),
        lrs: Sequence[float] = (1e-3,),
        weight_decays: Sequence[float] = (0.01,),
        activation: Activation = "gelu",
        dropout: float = 0.0,
        batch_size: int = 256,
        epochs: int = 30,
        warmup: float = 0.1,
        max_memory: int | str | None = None,
        device: DeviceName = "cpu",
        seed: int = 0,
    ) -> None:
        self.head = head
        self.widths = widths
        self.lrs = lrs
        self.weight_decays = weight_decays
        self.activation = activation
        self.dropout = dropout
        self.batch_size = batch_size
        self.epochs = epochs
        self.warmup = warmup
        self.max_memory = max_memory
        self.device = device
        self.seed = seed

    @property
    def heads(self) -> list[MLPHead]:
        """Width, learning rate and weight decay of every head; widths change slowest."""
        return [
            MLPHead(width, lr, decay)
            for width in self.widths
            for lr in self.lrs
            for decay in self.weight_decays
        ]

    def check_parameters(self) -> None:
        """Refuse parameters out of range, before any work."""
        widths = list(self.widths)
        if not widths or not all(width >= 1 and width == int(width) for width in widths):
            raise InvalidInputError(
                f"widths must be whole numbers from 1 on, at least one; got {widths}"
            )
        if self.activation not in get_args(Activation):
            known = ", ".join(map(repr, get_args(Activation)))
            raise InvalidInputError(f"activation must be one of {known}, got {self.activation!r}")
        if not 0 <= self.dropout < 1:
            raise InvalidInputError(f"dropout must lie in [0, 1), got {self.dropout}")
        self._check_at_least_one("epochs")
        super().check_parameters()

    def _network(self, settings: MLPHead, *, dim: int, n_columns: int) -> MLPNetwork:
        return MLPNetwork(dim, int(settings.width), n_columns, self.activation, self.dropout)

    def _n_steps(self, steps_per_epoch: int) -> int:
        return self.epochs * steps_per_epoch

    def _scaling(self, stream: RowStream, device: torch.device) -> Standardisation:
        return Standardisation.of(stream, device)

    def _summary(self, settings: MLPHead, curve: Curve) -> MLPTraining:
        training = Training.of(curve, lr=settings.lr, weight_decay=settings.weight_decay)
        return MLPTraining(**vars(training), width=settings.width)
