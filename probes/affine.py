"""AffineClassifier: what all probes share whose scores are an affine map of the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from featstore.errors import InvalidInputError
from featstore.probes.device import DeviceName, device_of, threads_for
from featstore.probes.inputs import Targets
from featstore.probes.stream import BLOCK_ROWS, RowStream

_TAIL = 60.0  # exp(-60) is 1e-26


#: What rows go through before the affine map, from (b, d) to (b, p).
RowMap = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class AffineMap:
    """Scores φ(x) Wᵀ + b.

    Attributes
    ----------
    weights
        W, shape (k, p), float64, on the CPU.
    offsets
        b, shape (k,).
    prepare
        φ; None for the rows as they are, p = d.
    """

    weights: Tensor
    offsets: Tensor
    prepare: RowMap | None = None

    def scores(self, stream: RowStream, device: torch.device) -> NDArray[np.floating]:
        """Scores of all rows, shape (n, k): computed in float64, float32 unless the rows are."""
        W, b = self.weights.to(device), self.offsets.to(device)
        out = torch.empty(
            len(stream),
            len(W),
            dtype=torch.float64 if stream.dtype == np.float64 else torch.float32,
        )
        with threads_for(2.0 * min(len(stream), BLOCK_ROWS) * W.numel(), device):
            for rows, block in stream.blocks(device):
                prepared = block.double() if self.prepare is None else self.prepare(block)
                out[rows] = torch.addmm(b, prepared, W.T).cpu()
        return out.numpy()


class AffineClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """A classifier with one score per class: for two classes or a label, one for both sides.

    A child's ``fit`` calls `_open`, and then `_adopt`.

    Attributes
    ----------
    classes_
        Class labels in sorted order, shape (c,); for an indicator its column numbers.
    """

    #: What the score of a single decision is multiplied by to become a log-odds.
    _log_odds_per_score: ClassVar[float] = 1.0

    device: DeviceName
    classes_: NDArray[Any]

    def decision_function(self, X: Any) -> NDArray[np.floating]:
        """Scores, shape (n, c), or (n,) for two classes: positive for ``classes_[1]``.

        Computed in float64; returned in float32 unless X is float64.
        """
        check_is_fitted(self)
        stream = RowStream.of(self, X, reset=False)
        scores = self._map.scores(stream, device_of(self.device))
        return scores if self._multilabel or scores.shape[1] > 1 else scores[:, 0]

    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Class probabilities, shape (n, c); for an indicator one per label, independent.

        Below 1e-26 of the best class's, probabilities are larger than the scores say, so that
        float32 keeps their order.
        """
        scores = torch.from_numpy(self.decision_function(X))
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

    def _open(self, X: Any, y: ArrayLike) -> tuple[RowStream, Targets]:
        """Check features and labels that are to be fitted."""
        stream = RowStream.of(self, X, reset=True)
        targets = Targets.of(y, n_samples=len(stream))
        if not targets.multilabel and len(targets.classes) == 1:
            raise InvalidInputError(
                f"y has one class only, {targets.classes.tolist()[0]!r}: a probe needs at least two"
            )
        self.classes_ = targets.classes
        self._multilabel = targets.multilabel
        return stream, targets

    def _adopt(
        self,
        weights: Tensor,
        offsets: Tensor,
        *,
        prepare: RowMap | None = None,
        temperature: float = 1.0,
    ) -> None:
        """Take scores φ(x) Wᵀ + b and their temperature; of rows as they are, publish the head."""
        self._map = AffineMap(weights.cpu(), offsets.cpu(), prepare)
        self._temperature = temperature
        if prepare is None:
            self.coef_, self.intercept_ = self._map.weights.numpy(), self._map.offsets.numpy()
