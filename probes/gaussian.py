"""GaussianProbe: Gaussian classes with diagonal covariances, each its own or one for all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from featstore.errors import InvalidInputError
from featstore.probes.affine import AffineClassifier
from featstore.probes.class_sums import ClassMoments, against
from featstore.probes.device import DeviceName, device_of
from featstore.probes.row_maps import Squares


class GaussianProbe(AffineClassifier):
    """Gaussian naive Bayes, or diagonal linear discriminant analysis.

    Within a class the columns are independent and normal.  With variances of each class the
    scores are quadratic: naive Bayes, the DQDA of Dudoit, Fridlyand & Speed 2002, and
    `sklearn.naive_bayes.GaussianNB`.  With variances pooled over the classes they are linear:
    their DLDA.  Full covariances are `LDAProbe`'s.  One pass, O(c d) memory.  Of a multi-label
    indicator every label is a problem of its own, rows with against rows without.

    Parameters
    ----------
    var_smoothing
        Share of the largest column's variance that is added to every variance, > 0.
    variances
        ``"per-class"`` or ``"pooled"``.
    temperature
        What log-posteriors are divided by; of no effect on the predicted class.  At 1 the
        probabilities are naive Bayes's, which is far too sure of itself on features that depend
        on each other; ``"n_features"`` divides by d.
    device
        ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA where there is some.

    Attributes
    ----------
    classes_
        Class labels in sorted order, shape (c,); for an indicator its column numbers.
    coef_, intercept_
        Of the linear scores, with pooled variances only: float64, shapes (c, d) and (c,);
        (1, d) and (1,) for two classes.  A label that all or no training rows have gets zero
        weights and an intercept of plus or minus infinity.
    n_features_in_
        Columns of the training features, d.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> GaussianProbe(0.01).fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.85
    True
    """

    #: The hyper-parameter that validation rows choose.
    parameter: ClassVar[str] = "var_smoothing"
    parameter_type: ClassVar[type[float]] = float
    stronger: ClassVar[str] = "larger"
    streams: ClassVar[bool] = True
    ties: ClassVar[str] = "larger"

    def __init__(
        self,
        var_smoothing: float = 1e-9,
        *,
        variances: Literal["per-class", "pooled"] = "per-class",
        temperature: float | Literal["n_features"] = 1.0,
        device: DeviceName = "cpu",
    ) -> None:
        self.var_smoothing = var_smoothing
        self.variances = variances
        self.temperature = temperature
        self.device = device

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Take means and variances.

        Parameters
        ----------
        X
            Features (n, d): NumPy array, torch tensor, anything with ``array()`` or
            ``__array__``, or a view with ``batches()``, which is read in pieces; float16,
            float32 or float64.
        y
            Labels (n,) of any dtype, or an indicator (n, c) of 0 and 1.

        Raises
        ------
        InvalidInputError
            If X holds NaN or infinity, y has one class only or another length than X, or a
            parameter is out of range.
        """
        self._check_parameters()
        return self._settle(self._moments(X, y), self.var_smoothing)

    def sweep(
        self, X: Any, y: ArrayLike, queries: Any, values: Iterable[float]
    ) -> Iterator[tuple[float, NDArray[np.floating]]]:
        """Score queries with every smoothing in `values`, from one pass over X.

        Yields
        ------
        var_smoothing, probabilities
            In the order of `values`; probabilities as of `predict_proba`.
        """
        self._check_parameters()
        moments = self._moments(X, y)
        for smoothing in values:
            _check_smoothing(smoothing)
            self._settle(moments, smoothing)
            yield smoothing, self.predict_proba(queries)

    def _moments(self, X: Any, y: ArrayLike) -> ClassMoments:
        stream, targets = self._open(X, y)
        return ClassMoments.of(stream, targets, device_of(self.device))

    def _settle(self, moments: ClassMoments, smoothing: float) -> Self:
        d = len(moments.centre)
        temperature = float(d) if isinstance(self.temperature, str) else self.temperature
        added = smoothing * moments.variance.amax()
        spread = moments.variances + added  # (g, d)
        if self.variances == "pooled":
            weighted = moments.counts[:, None] * spread
            if self._multilabel:
                both = weighted[: len(weighted) // 2] + weighted[len(weighted) // 2 :]
                spread = (both / moments.n_samples).repeat(2, 1)
            else:
                spread = (weighted.sum(dim=0) / moments.n_samples).expand_as(weighted)
        # Where no column varies at all there is no density, and the shares decide.
        precision = torch.where(spread > 0, 1 / spread, 0.0)
        linear = moments.means * precision  # (g, d)
        offsets = -(linear * moments.means).sum(dim=1) / 2 + moments.log_shares
        offsets -= torch.where(spread > 0, spread, 1.0).log().sum(dim=1) / 2
        if self._multilabel:
            # A group without rows has no density to compare: its share, zero, decides.
            empty = torch.isinf(offsets.view(2, -1)).any(dim=0).repeat(2)
            linear, precision = linear * ~empty[:, None], precision * ~empty[:, None]
        linear = against(linear, multilabel=self._multilabel)
        offsets = against(offsets, multilabel=self._multilabel)
        if self.variances == "pooled":
            offsets = offsets - linear @ moments.centre
            self._adopt(linear, offsets, temperature=temperature)
            return self
        quadratic = against(-precision / 2, multilabel=self._multilabel)
        self._adopt(
            torch.cat([linear, quadratic], dim=1),
            offsets,
            prepare=Squares(moments.centre.cpu()),
            temperature=temperature,
        )
        return self

    def _check_parameters(self) -> None:
        _check_smoothing(self.var_smoothing)
        if self.variances not in ("per-class", "pooled"):
            raise InvalidInputError(
                f"variances must be 'per-class' or 'pooled', got {self.variances!r}"
            )
        if isinstance(self.temperature, str):
            if self.temperature != "n_features":
                raise InvalidInputError(
                    f"temperature must be a number or 'n_features', got {self.temperature!r}"
                )
        elif not 0 < self.temperature < math.inf:
            raise InvalidInputError(
                f"temperature must be positive and finite, got {self.temperature}"
            )


def _check_smoothing(smoothing: float) -> None:
    if not 0 < smoothing < math.inf:
        raise InvalidInputError(f"var_smoothing must be positive and finite, got {smoothing}")
