"""SGDGridProbe: one head out of a grid of learning rates and weight decays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from featstore.errors import InvalidInputError
from featstore.probes.device import DeviceName
from featstore.probes.joint_fit import sweep_heads
from featstore.probes.sgd import SGDProbe


class SGDGridProbe(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """An `SGDProbe` whose learning rate and weight decay are chosen together.

    `sweep` trains all heads of the grid in one pass over the features.

    Parameters
    ----------
    head
        Which one: position in the grid, all weight decays of the first learning rate first.
    lrs, weight_decays
        The grid.
    arguments
        Other parameters of the `SGDProbe`.
    device, seed
        As for `SGDProbe`.

    Attributes
    ----------
    probe_
        The fitted `SGDProbe`.
    classes_, certificate_, n_features_in_
        As of `SGDProbe`, and ``coef_`` and ``intercept_`` where it has them.

    Examples
    --------
    >>> SGDGridProbe(lrs=(0.1, 1.0), weight_decays=(0.0, 1e-3)).heads
    [(0.1, 0.0), (0.1, 0.001), (1.0, 0.0), (1.0, 0.001)]
    """

    #: The hyper-parameter that validation rows choose.
    parameter: ClassVar[str] = "head"
    parameter_type: ClassVar[type[float]] = int
    streams: ClassVar[bool] = True

    def __init__(
        self,
        head: int = 0,
        *,
        lrs: Sequence[float] = (0.4,),
        weight_decays: Sequence[float] = (0.0,),
        arguments: Mapping[str, Any] | None = None,
        device: DeviceName = "cpu",
        seed: int = 0,
    ) -> None:
        self.head = head
        self.lrs = lrs
        self.weight_decays = weight_decays
        self.arguments = arguments
        self.device = device
        self.seed = seed

    @property
    def heads(self) -> list[tuple[float, float]]:
        """Learning rate and weight decay of every head."""
        return [(lr, decay) for lr in self.lrs for decay in self.weight_decays]

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Train the head, see `SGDProbe.fit`."""
        probe = self._probe(self.head).fit(X, y)
        for name, value in vars(probe).items():
            if name.endswith("_") and name not in probe.get_params():
                setattr(self, name, value)
        self.probe_ = probe
        return self

    def sweep(
        self, X: Any, y: ArrayLike, queries: Any, values: Iterable[float]
    ) -> Iterator[tuple[float, NDArray[np.floating]]]:
        """Train heads in one pass over the features, and score queries with each.

        Yields and warns as `SGDProbe.sweep`; values are positions in the grid.
        """
        positions = [int(value) for value in values]
        probes = [self._probe(position) for position in positions]
        for position, proba in sweep_heads(probes, X, y, queries):
            self.classes_ = probes[position].classes_
            yield float(positions[position]), proba

    def decision_function(self, X: Any) -> NDArray[np.floating]:
        """Scores, see `SGDProbe.decision_function`."""
        check_is_fitted(self)
        return self.probe_.decision_function(X)

    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Class probabilities, see `SGDProbe.predict_proba`."""
        check_is_fitted(self)
        return self.probe_.predict_proba(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels, see `SGDProbe.predict`."""
        check_is_fitted(self)
        return self.probe_.predict(X)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _probe(self, head: int) -> SGDProbe:
        heads = self.heads
        if not 0 <= head < len(heads):
            raise InvalidInputError(f"head must lie in [0, {len(heads)}), got {head}")
        lr, decay = heads[head]
        return SGDProbe(
            lr,
            weight_decay=decay,
            device=self.device,
            seed=self.seed,
            **dict(self.arguments or {}),
        )
