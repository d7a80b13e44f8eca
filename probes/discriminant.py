"""LDAProbe: linear discriminant analysis with a covariance shrunk towards the identity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featstore.errors import InvalidInputError
from featstore.probes.affine import AffineClassifier
from featstore.probes.device import DeviceName
from featstore.probes.inputs import Targets
from featstore.probes.moments import Moments, Precision
from featstore.probes.shrinkage import WithinClass, ledoit_wolf
from featstore.probes.stream import RowStream


class LDAProbe(AffineClassifier):
    """Gaussian classes with one covariance (Fisher 1936; Friedman 1989 for the shrinkage).

    The covariance is Σ = (1 - s) S + s (tr S / d) I, where S is the covariance of the rows around
    their class means, over n; the priors are the classes' shares.  With s given, the posteriors
    are those of ``LinearDiscriminantAnalysis(solver="lsqr", shrinkage=s)`` in scikit-learn.
    One pass over the features and O(d²) memory; with fewer rows than columns the dual form.  Of a
    multi-label indicator every label is a problem of its own, rows with against rows without.

    Parameters
    ----------
    shrinkage
        s in [0, 1], or ``"auto"`` for the one of Ledoit & Wolf 2004, of the covariance pooled over
        the classes (scikit-learn shrinks each class's by itself, which takes a covariance for
        each class and fails with few rows).  One more pass.
    dtype
        Of the products, see `featstore.probes.moments.Moments.of`.
    device
        ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA where there is some.

    Attributes
    ----------
    classes_
        Class labels in sorted order, shape (c,); for an indicator its column numbers.
    coef_, intercept_
        Of the log-posteriors up to what is common to all classes, float64, shapes (c, d) and
        (c,); (1, d) and (1,) for two classes, of the log-odds.  A label that all or no training
        rows have gets zero weights and an intercept of plus or minus infinity.
    shrinkage_
        The shrinkage that was used.
    chosen_by_
        The rule that chose it; empty if it was given.
    certificate_
        `Conditioning` of Σ, or of the worst of the labels' covariances.
    n_features_in_
        Columns of the training features, d.

    Notes
    -----
    With s = 0, directions in which no row differs from its class's mean are left out, as by
    scikit-learn.  With one row per class there is no covariance, and an error.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> LDAProbe(0.1).fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.9
    True
    """

    #: The hyper-parameter that validation rows choose.
    parameter: ClassVar[str] = "shrinkage"
    parameter_type: ClassVar[type[float]] = float
    stronger: ClassVar[str] = "larger"
    streams: ClassVar[bool] = True
    ties: ClassVar[str] = "larger"

    def __init__(
        self,
        shrinkage: float | Literal["auto"] = "auto",
        *,
        dtype: Precision = "auto",
        device: DeviceName = "cpu",
    ) -> None:
        self.shrinkage = shrinkage
        self.dtype = dtype
        self.device = device

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Fit the discriminants.

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
            If X holds NaN or infinity, y has one class only or another length than X, no class
            has two different rows, or the shrinkage is out of range.
        """
        _check(self.shrinkage)
        stream, targets = self._open(X, y)
        moments, within = self._within(stream, targets)
        if self.shrinkage == "auto":
            self.chosen_by_ = "Ledoit–Wolf"
            return self._settle(within, ledoit_wolf(stream, targets, moments, within))
        self.chosen_by_ = ""
        return self._settle(within, float(self.shrinkage))

    def sweep(
        self, X: Any, y: ArrayLike, queries: Any, values: Iterable[float]
    ) -> Iterator[tuple[float, NDArray[np.floating]]]:
        """Solve for every shrinkage in `values` from one decomposition, and score queries.

        Yields
        ------
        shrinkage, probabilities
            In the order of `values`; probabilities as of `predict_proba`.
        """
        _, within = self._within(*self._open(X, y))
        for shrinkage in values:
            _check(shrinkage)
            self._settle(within, shrinkage)
            yield shrinkage, self.predict_proba(queries)

    def _within(self, stream: RowStream, targets: Targets) -> tuple[Moments, WithinClass]:
        moments = Moments.of(stream, targets, dtype=self.dtype, device=self.device)
        return moments, WithinClass.of(moments, multilabel=targets.multilabel)

    def _settle(self, within: WithinClass, shrinkage: float) -> Self:
        self.shrinkage_ = shrinkage
        if self._multilabel:
            weights, offsets, self.certificate_ = within.label_solution(shrinkage)
        else:
            weights, offsets, self.certificate_ = within.class_solution(shrinkage)
            if len(weights) == 2:
                weights, offsets = weights[1:] - weights[:1], offsets[1:] - offsets[:1]
        self._adopt(weights, offsets)
        return self


def _check(shrinkage: float | str) -> None:
    if isinstance(shrinkage, str):
        if shrinkage != "auto":
            raise InvalidInputError(f"shrinkage must be a number or 'auto', got {shrinkage!r}")
    elif not 0 <= shrinkage <= 1:
        raise InvalidInputError(f"shrinkage must be in [0, 1], got {shrinkage:g}")
