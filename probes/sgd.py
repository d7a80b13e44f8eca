"""SGDProbe: a linear head trained by minibatch descent, as published protocols do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from featstore.ceiling import parse_bytes
from featstore.errors import InvalidInputError
from featstore.probes.affine import AffineClassifier
from featstore.probes.curves import Training
from featstore.probes.design import UnitColumns
from featstore.probes.device import DeviceName
from featstore.probes.head_columns import Columns
from featstore.probes.initial_weights import Initialisation
from featstore.probes.inputs import Targets
from featstore.probes.joint_fit import divergence, fit_together, sweep_heads
from featstore.probes.schedule import Schedule
from featstore.probes.sgd_training import TrainedHead
from featstore.probes.stream import RowStream
from featstore.probes.training_plan import Products

Optimizer = Literal["sgd", "adam", "adamw"]

_RULE_BATCH = 256  # Goyal et al. 2017: the learning rate grows with the batch


class SGDProbe(AffineClassifier):
    """A linear head trained by minibatch descent on the cross-entropy.

    The defaults are the linear evaluation of Cole et al. 2022 (appendix C.2): 90 epochs of SGD
    with Nesterov momentum, batches of 1024, learning rate 0.1 x 1024 / 256 on a cosine, no weight
    decay; the weights of the last epoch count.  The trajectory is that of `torch.nn.Linear` with
    `torch.optim` on the same batches, to rounding in float32.

    Parameters
    ----------
    lr
        Learning rate before the schedule.
    optimizer
        ``"sgd"``, ``"adam"`` or ``"adamw"``, as in `torch.optim`.
    momentum, nesterov
        Of ``"sgd"``.
    betas
        Of ``"adam"`` and ``"adamw"``.
    weight_decay
        As the optimiser takes it: part of the gradient, or for ``"adamw"`` apart from it.
    decay_bias
        Whether the bias decays too, as torch has it unless told otherwise.
    batch_size
        Rows of a step.
    scale_lr
        Whether `lr` is meant for batches of 256 and multiplied by batch_size / 256.
    epochs
        Passes over the rows.
    steps
        Length of the training in batches, in place of `epochs`.
    schedule, warmup_steps
        Of the learning rate, see `featstore.probes.schedule.factors`.
    init, init_std
        Of the weights, see `featstore.probes.initial_weights`.
    columns
        Features that the head sees: a slice or their numbers; all by default.  Heads over several
        layers and poolings of a fused view can so be trained in one pass, see `fit_together`.
    normalise
        Whether to divide rows by their l2 norm; zero rows stay zero.
    drop_last
        Whether to leave out the short last batch of an epoch, as torch's DataLoader has it.
    products
        ``"float32"``, or ``"float16"``: features, weights and residuals are rounded to float16
        before products, which are summed in float32, as are the parameters.  Fast on CUDA.
    max_memory
        Bytes, or e.g. ``"2GB"``.  A view with more values is not loaded but read ahead, batch by
        batch; it and what its own ceiling allows bound the memory for rows.
    device
        ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA where there is some.
    seed
        Of the weights and of the order of rows, which depends on nothing else.

    Attributes
    ----------
    classes_
        Class labels in sorted order, shape (c,); for an indicator its column numbers.
    coef_, intercept_
        Float64, shapes (c, d) and (c,); (1, d) and (1,) for two classes, the difference of the
        two that were trained.  Columns that the head does not see have weight 0.  Missing with
        `normalise`, where scores are no affine map of the rows.
    curve_
        `Curve`: learning rate, loss and accuracy of each epoch.
    certificate_
        `Training`: the settings of the head and its last epoch, in numbers.
    diverged_
        Epoch, from 1, in which the head ceased to be finite; None.
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
    >>> probe = SGDProbe(epochs=20).fit(X / 16, y)
    >>> bool(probe.curve_.loss[-1] < probe.curve_.loss[0])
    True
    """

    #: The hyper-parameter that validation rows choose.
    parameter: ClassVar[str] = "lr"
    parameter_type: ClassVar[type[float]] = float
    streams: ClassVar[bool] = True

    def __init__(
        self,
        lr: float = 0.4,
        *,
        optimizer: Optimizer = "sgd",
        momentum: float = 0.9,
        nesterov: bool = True,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        decay_bias: bool = True,
        batch_size: int = 1024,
        scale_lr: bool = False,
        epochs: int = 90,
        steps: int | None = None,
        schedule: Schedule = "cosine",
        warmup_steps: int = 0,
        init: Initialisation = "normal",
        init_std: float = 0.01,
        columns: Columns = None,
        normalise: bool = False,
        drop_last: bool = False,
        products: Products = "float32",
        max_memory: int | str | None = None,
        device: DeviceName = "cpu",
        seed: int = 0,
    ) -> None:
        self.lr = lr
        self.optimizer = optimizer
        self.momentum = momentum
        self.nesterov = nesterov
        self.betas = betas
        self.weight_decay = weight_decay
        self.decay_bias = decay_bias
        self.batch_size = batch_size
        self.scale_lr = scale_lr
        self.epochs = epochs
        self.steps = steps
        self.schedule = schedule
        self.warmup_steps = warmup_steps
        self.init = init
        self.init_std = init_std
        self.columns = columns
        self.normalise = normalise
        self.drop_last = drop_last
        self.products = products
        self.max_memory = max_memory
        self.device = device
        self.seed = seed

    @property
    def base_lr(self) -> float:
        """Learning rate that the schedule multiplies."""
        return self.lr * self.batch_size / _RULE_BATCH if self.scale_lr else self.lr

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
            If `max_memory` does not hold two blocks of 256 rows.
        """
        fit_together([self], X, y)
        if self.diverged_ is not None:
            raise InvalidInputError(divergence([self]))
        return self

    def sweep(
        self, X: Any, y: ArrayLike, queries: Any, values: Iterable[float]
    ) -> Iterator[tuple[float, NDArray[np.floating]]]:
        """Train a head per value in one pass over the features, and score queries with each.

        Yields
        ------
        value, probabilities
            In the order of `values`; probabilities as of `predict_proba`.  Heads that diverged
            are left out.

        Warns
        -----
        ConvergenceWarning
            If heads diverged; names their learning rates.
        """
        probes = [clone(self).set_params(**{self.parameter: value}) for value in values]
        for position, proba in sweep_heads(probes, X, y, queries):
            self.classes_ = probes[position].classes_
            yield float(getattr(probes[position], self.parameter)), proba

    def check_parameters(self) -> None:
        """Refuse parameters out of range, before any work."""
        for name, choices in (("optimizer", Optimizer), ("products", Products)):
            if getattr(self, name) not in get_args(choices):
                known = ", ".join(map(repr, get_args(choices)))
                raise InvalidInputError(
                    f"{name} must be one of {known}, got {getattr(self, name)!r}"
                )
        for name in ("lr", "weight_decay", "init_std", "momentum"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InvalidInputError(
                    f"{name} must be finite and not negative, got {getattr(self, name)}"
                )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise InvalidInputError(f"betas must lie in [0, 1), got {self.betas}")
        for name in ("epochs", "batch_size", "steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidInputError(f"{name} must be at least 1, got {value}")
        if self.max_memory is not None:
            parse_bytes(self.max_memory)

    def open(self, X: Any, y: ArrayLike) -> tuple[RowStream, Targets]:
        """Check features and labels."""
        return self._open(X, y)

    def adopt(self, head: TrainedHead) -> None:
        """Set the fitted attributes."""
        weights, offsets = head.weights, head.offsets
        if not self._multilabel and len(self.classes_) == 2:
            weights, offsets = weights[1:] - weights[:1], offsets[1:] - offsets[:1]
        self.curve_, self.diverged_ = head.curve, head.diverged
        self.n_iter_ = len(head.curve.loss)
        self.certificate_ = Training.of(head.curve, lr=self.base_lr, weight_decay=self.weight_decay)
        if self.normalise:
            self._adopt(weights, offsets, prepare=UnitColumns(torch.from_numpy(head.columns)))
            return
        full = weights.new_zeros(len(weights), self.n_features_in_)
        full[:, head.columns] = weights
        self._adopt(full, offsets)
