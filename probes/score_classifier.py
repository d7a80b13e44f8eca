"""ScoreClassifier: what all probes share that have one score per class."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from featstore.errors import InvalidInputError
from featstore.probes.device import DeviceName
from featstore.probes.inputs import Targets
from featstore.probes.stream import RowStream

_TAIL = 60.0  # exp(-60) is 1e-26


class ScoreClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """A classifier with one score per class: for two classes or a label, one for both sides.

    A child's ``fit`` calls `_open`, and then keeps what `_scores` needs.

    Attributes
    ----------
    classes_
        Class labels in sorted order, shape (c,); for an indicator its column numbers.
    """

    #: What the score of a single decision is multiplied by to become a log-odds.
    _log_odds_per_score: ClassVar[float] = 1.0

    device: DeviceName
    classes_: NDArray[Any]
    _multilabel: bool
    #: What scores are divided by before they become probabilities.
    _temperature: float = 1.0

    @abstractmethod
    def _scores(self, stream: RowStream) -> NDArray[np.floating]:
        """Scores of all rows, shape (n, k); k = 1 for two classes."""

    def decision_function(self, X: Any) -> NDArray[np.floating]:
        """Scores, shape (n, c), or (n,) for two classes: positive for ``classes_[1]``.

        Computed in float64; returned in float32 unless X is float64.
        """
        check_is_fitted(self)
        return self._decisions(self._scores(RowStream.of(self, X, reset=False)))

    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Class probabilities, shape (n, c); for an indicator one per label, independent.

        Below 1e-26 of the best class's, probabilities are larger than the scores say, so that
        float32 keeps their order.
        """
        return self._probabilities(self.decision_function(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels, shape (n,), or for an indicator 0 and 1, shape (n, c)."""
        scores = self.decision_function(X)
        if self._multilabel:
            return (scores > 0).astype(np.int64)
        codes = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        labels: NDArray[Any] = self.classes_[codes]
        return labels

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _open(self, X: Any, y: ArrayLike, *, whole: bool = False) -> tuple[RowStream, Targets]:
        """Check features and labels that are to be fitted; `whole` as for `RowStream.of`."""
        stream = RowStream.of(self, X, reset=True, whole=whole)
        targets = Targets.of(y, n_samples=len(stream))
        if not targets.multilabel and len(targets.classes) == 1:
            raise InvalidInputError(
                f"y has one class only, {targets.classes.tolist()[0]!r}: a probe needs at least two"
            )
        self.classes_ = targets.classes
        self._multilabel = targets.multilabel
        return stream, targets

    def _decisions(self, scores: NDArray[np.floating]) -> NDArray[np.floating]:
        """Shape scores (n, k) as `decision_function` returns them."""
        return scores if self._multilabel or scores.shape[1] > 1 else scores[:, 0]

    def _probabilities(self, decisions: NDArray[np.floating]) -> NDArray[np.floating]:
        """Turn what `decision_function` returns into what `predict_proba` does."""
        scores = torch.from_numpy(decisions)
        if self._multilabel:
            proba = torch.sigmoid(scores * self._log_odds_per_score / self._temperature)
        else:
            if scores.ndim == 1:
                half = scores * (self._log_odds_per_score / 2)
                scores = torch.stack([-half, half], dim=1)
            scores = scores / self._temperature
            behind = scores.amax(dim=1, keepdim=True) - scores
            tail = _TAIL + torch.log1p((behind - _TAIL).clamp_min(0))
            proba = torch.softmax(-torch.minimum(behind, tail), dim=1)
        return proba.numpy()
