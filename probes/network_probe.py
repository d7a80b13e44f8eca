"""NetworkProbe: what all probes share whose head is a small network out of a grid."""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from featstore.ceiling import parse_bytes
from featstore.errors import InvalidInputError
from featstore.probes.batch_loss import loss_of
from featstore.probes.curves import Curve, Training
from featstore.probes.device import device_of
from featstore.probes.head_network import HeadNetwork
from featstore.probes.head_stack import HeadSettings
from featstore.probes.inputs import Targets
from featstore.probes.network_training import TrainedNetwork, train_networks
from featstore.probes.row_maps import RowMap
from featstore.probes.sample_order import SampleOrder
from featstore.probes.schedule import factors
from featstore.probes.score_classifier import ScoreClassifier
from featstore.probes.stream import RowStream
from featstore.probes.training_plan import Plan
from featstore.probes.update import Adam

_SCORE_BYTES = 256 << 20  # of the scores of all heads that are computed in one pass


class NetworkProbe(ScoreClassifier):
    """A head that is no linear map, trained by AdamW with warm-up and a cosine.

    `sweep` trains all heads of a grid in one pass over the features.  A child says which heads
    there are (`heads`), what they look like (`_network`), and how long they are trained.
    """

    #: The hyper-parameter that validation rows choose: a position in `heads`.
    parameter: ClassVar[str] = "head"
    parameter_type: ClassVar[type[float]] = int
    streams: ClassVar[bool] = True
    #: Results are labelled with it wherever they are shown.
    nonlinear: ClassVar[bool] = True

    _betas: ClassVar[tuple[float, float]] = (0.9, 0.999)
    _drop_last: ClassVar[bool] = False

    head: int
    lrs: Sequence[float]
    weight_decays: Sequence[float]
    batch_size: int
    warmup: float
    max_memory: int | str | None
    seed: int

    @property
    @abstractmethod
    def heads(self) -> list[Any]:
        """Settings of every head of the grid: objects with `lr` and `weight_decay`."""

    @abstractmethod
    def _network(self, settings: Any, *, dim: int, n_columns: int) -> HeadNetwork:
        """Architecture of a head."""

    @abstractmethod
    def _n_steps(self, steps_per_epoch: int) -> int:
        """Length of the training."""

    @abstractmethod
    def _summary(self, settings: Any, curve: Curve) -> Training:
        """Sum up the training of a head."""

    def _base_lr(self, lr: float) -> float:
        """Learning rate that the schedule multiplies."""
        return lr

    def _scaling(self, stream: RowStream, device: torch.device) -> RowMap | None:
        """Return what rows go through first."""
        return None

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Train the head.

        Parameters
        ----------
        X
            Features (n, d): NumPy array, torch tensor, anything with ``array()`` or
            ``__array__``, or a view; float16, float32 or float64, computed in float32.
        y
            Labels (n,) of any dtype, or an indicator (n, c) of 0 and 1.

        Raises
        ------
        InvalidInputError
            If X holds NaN or infinity, y has one class only or another length than X, a
            parameter is out of range, or the training diverged.
        MemoryCeilingError
            If `max_memory` does not hold two blocks of rows and the batch in float32.
        """
        (trained,) = self._train([self.head], X, y)
        settings, curve = self.heads[self.head], trained.curves[0]
        epoch = trained.divergence(0)
        if epoch is not None:
            raise InvalidInputError(_divergence([(settings, epoch)]))
        self._head = trained.heads.select(slice(0, 1))
        self.curve_, self.n_iter_ = curve, len(curve.loss)
        self.certificate_ = self._summary(settings, curve)
        return self

    def sweep(
        self, X: Any, y: ArrayLike, queries: Any, values: Iterable[float]
    ) -> Iterator[tuple[float, NDArray[np.floating]]]:
        """Train heads in one pass over the features, and score queries with each.

        Parameters
        ----------
        X, y
            As for `fit`.
        queries
            Features (m, d).
        values
            Positions in `heads`.

        Yields
        ------
        value, probabilities
            Architecture by architecture, each in the order of `values`; probabilities as of
            `predict_proba`.  Heads that diverged are left out.

        Warns
        -----
        ConvergenceWarning
            If heads diverged; names their settings.

        Raises
        ------
        InvalidInputError
            If all diverged, or as for `fit`.
        """
        positions = [int(value) for value in values]
        trained = self._train(positions, X, y)
        diverged = {
            positions[member]: epoch
            for network in trained
            for i, member in enumerate(network.members)
            if (epoch := network.divergence(i)) is not None
        }
        if diverged:
            message = _divergence([(self.heads[at], epoch) for at, epoch in diverged.items()])
            if len(diverged) == len(positions):
                raise InvalidInputError(message)
            warnings.warn(message, ConvergenceWarning, stacklevel=2)
        stream, device = RowStream.of(self, queries, reset=False), device_of(self.device)
        for network in trained:
            size = len(stream) * network.heads.network.n_columns * stream.dtype.itemsize
            group = max(_SCORE_BYTES // size, 1)
            for start in range(0, len(network.members), group):
                heads = network.heads.select(slice(start, start + group))
                for member, logits in zip(
                    network.members[start : start + group],
                    heads.scores(stream, device),
                    strict=True,
                ):
                    if positions[member] not in diverged:
                        decisions = self._decisions(self._differences(logits).numpy())
                        yield float(positions[member]), self._probabilities(decisions)

    def check_parameters(self) -> None:
        """Refuse parameters out of range, before any work."""
        for name in ("lrs", "weight_decays"):
            values = list(getattr(self, name))
            if not values or not all(0 <= value < math.inf for value in values):
                raise InvalidInputError(
                    f"{name} must be finite numbers, not negative, at least one; got {values}"
                )
        if not 0 <= self.warmup < 1:
            raise InvalidInputError(f"warmup must lie in [0, 1), got {self.warmup}")
        self._check_at_least_one("batch_size")
        if not 0 <= self.head < len(self.heads):
            raise InvalidInputError(f"head must lie in [0, {len(self.heads)}), got {self.head}")
        if self.max_memory is not None:
            parse_bytes(self.max_memory)

    def _check_at_least_one(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if value < 1:
                raise InvalidInputError(f"{name} must be at least 1, got {value}")

    def _train(self, positions: Sequence[int], X: Any, y: ArrayLike) -> list[TrainedNetwork]:
        self.check_parameters()
        for position in positions:
            if not 0 <= position < len(self.heads):
                raise InvalidInputError(f"head must lie in [0, {len(self.heads)}), got {position}")
        stream, targets = self._open(X, y)
        device = device_of(self.device)
        plan = self._plan(stream, targets, device)
        chosen = [self.heads[position] for position in positions]
        return train_networks(
            self,
            [
                self._network(settings, dim=plan.dim, n_columns=plan.loss.n_columns)
                for settings in chosen
            ],
            [HeadSettings(self._base_lr(s.lr), s.weight_decay) for s in chosen],
            stream,
            plan,
            device=device,
        )

    def _plan(self, stream: RowStream, targets: Targets, device: torch.device) -> Plan:
        order = SampleOrder(
            len(stream), batch_size=self.batch_size, seed=self.seed, drop_last=self._drop_last
        )
        n_steps = self._n_steps(order.steps_per_epoch)
        return Plan(
            order=order,
            shares=factors(
                "warmup-cosine",
                n_steps,
                steps_per_epoch=order.steps_per_epoch,
                warmup_steps=min(round(self.warmup * n_steps), n_steps - 1),
            ),
            loss=loss_of(targets, device),
            update=Adam(self._betas, decoupled=True),
            dim=stream.shape[1],
            normalise=False,
            decay_bias=False,
            scaling=self._scaling(stream, device),
            bias=False,
        )

    def _scores(self, stream: RowStream) -> NDArray[np.floating]:
        (logits,) = self._head.scores(stream, device_of(self.device))
        return self._differences(logits).numpy()

    def _differences(self, logits: Tensor) -> Tensor:
        """Logits (n, k) as they are published: of two classes the difference."""
        if self._multilabel or logits.shape[1] > 2:
            return logits
        return logits[:, 1:] - logits[:, :1]


def _divergence(heads: Sequence[tuple[Any, int]]) -> str:
    """Say which heads diverged, and what to do."""
    named = "; ".join(
        f"{', '.join(f'{name}={value:g}' for name, value in vars(settings).items())} "
        f"(epoch {epoch})"
        for settings, epoch in heads
    )
    return (
        f"the training diverged to NaN or infinity with {named}; lower the learning rate, or "
        "bring the features to one scale"
    )
