"""LogisticProbe: exact L2-penalised logistic regression, with a certificate of how exact."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from featstore.errors import InvalidInputError
from featstore.probes.device import DeviceName, device_of
from featstore.probes.engines.head import engine_head
from featstore.probes.engines.linear import EngineName, check_engine, linear_engine
from featstore.probes.head import Head, fit_head
from featstore.probes.inputs import Targets, as_tensor, blocks, features_of
from featstore.probes.preconditioner import GramBasis, Precision
from featstore.probes.stream import RowStream
from featstore.subset_scores import SubsetScores, score_one_by_one


class LogisticProbe(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """Logistic regression whose optimum is scikit-learn's, reached by far fewer passes.

    Minimises C Σ_i loss_i + ‖W‖² / 2 with a free intercept, as
    `sklearn.linear_model.LogisticRegression` does: a softmax for three and more classes, one
    logit for two, and independent sigmoids for a multi-label indicator (one binary regression
    per label, all with the same C).

    Parameters
    ----------
    C
        Inverse strength of the penalty, > 0.
    tol
        Relative suboptimality (f - min f) / f to reach, as estimated by the solver.
    max_iter
        Bound on the solver's iterations, each one pass over the features.
    dtype
        Precision of the bulk of the work: ``"float32"``, ``"float64"``, or ``"auto"``, which is
        float64 below 20 million numbers in X.  Where float32 stalls above `tol`, the rest of
        the way is gone in float64 products over the float32 working copy.
    engine
        ``"torch"``; or ``"sklearn"`` (`LogisticRegression`) or ``"cuml"`` to have it solve the
        problem, with `tol` and `max_iter` as its own.  float16 features are widened first.
    device
        ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA where there is some; where the torch engine
        and the certificate compute.
    seed
        Draws the sample of rows behind the preconditioner; of no effect on the optimum.

    Attributes
    ----------
    classes_
        Class labels in sorted order, shape (c,); for an indicator its column numbers.
    coef_
        Weights, float64, shape (c, d); (1, d) for two classes.
    intercept_
        Shape (c,); (1,) for two classes.  A label that all or no training rows have gets zero
        weights and an intercept of plus or minus infinity, its limit.
    n_iter_
        Iterations of the solver.
    certificate_
        `Certificate`: objective, gradient norm, rigorous gap bound.
    n_features_in_
        Columns of the training features, d.

    Notes
    -----
    Results are bit-identical for the same input, seed, device and number of threads.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> probe = LogisticProbe(C=0.01).fit(X, y)
    >>> probe.certificate_.converged
    True
    >>> probe.coef_.shape
    (10, 64)
    """

    #: The hyper-parameter that validation rows choose.
    parameter: ClassVar[str] = "C"
    parameter_type: ClassVar[type[float]] = float
    stronger: ClassVar[str] = "smaller"

    classes_: NDArray[Any]

    def __init__(
        self,
        C: float = 1.0,
        *,
        tol: float = 1e-6,
        max_iter: int = 1000,
        dtype: Precision = "auto",
        engine: EngineName = "torch",
        device: DeviceName = "cpu",
        seed: int = 0,
    ) -> None:
        self.C = C
        self.tol = tol
        self.max_iter = max_iter
        self.dtype = dtype
        self.engine = engine
        self.device = device
        self.seed = seed

    def fit(self, X: Any, y: ArrayLike, *, basis: GramBasis | None = None) -> Self:
        """Fit the head.

        Parameters
        ----------
        X
            Features (n, d): NumPy array, torch tensor, or anything with ``array()`` or
            ``__array__``; float16, float32 or float64.
        y
            Labels (n,) of any dtype, or an indicator (n, c) of 0 and 1.
        basis
            `GramBasis.of(X)`, when several heads are fitted to the same features; it decides
            precision and device in place of `dtype`, `device` and `seed`.

        Raises
        ------
        InvalidInputError
            If X holds NaN or infinity, y has one class only or another length than X, a
            parameter is out of range, or `basis` belongs to other features.

        Warns
        -----
        ConvergenceWarning
            If `tol` was not reached; `certificate_` says what was.
        """
        self.check_parameters()
        features = features_of(self, X, reset=True)
        targets = Targets.of(y, n_samples=len(features))
        if basis is None:
            basis = GramBasis.of(features, dtype=self.dtype, device=self.device, seed=self.seed)
        else:
            basis.check(features)
        engine = linear_engine(self.engine)
        solve = fit_head if engine is None else partial(engine_head, engine, dtype=self.dtype)
        head = solve(features, targets, basis, C=self.C, tol=self.tol, max_iter=self.max_iter)
        return self.adopt(head, targets)

    def decision_function(self, X: Any) -> NDArray[np.floating]:
        """Logits, shape (n, c), or (n,) for two classes: positive for ``classes_[1]``.

        Computed in float64; returned in float32 unless X is float64.
        """
        check_is_fitted(self)
        features = as_tensor(features_of(self, X, reset=False))
        device = device_of(self.device)
        W = torch.from_numpy(self.coef_).to(device)
        b = torch.from_numpy(self.intercept_).to(device)
        out = torch.empty(
            len(features),
            len(W),
            dtype=torch.float64 if features.dtype == torch.float64 else torch.float32,
        )
        for rows in blocks(len(features)):
            out[rows] = torch.addmm(b, features[rows].to(device).double(), W.T).cpu()
        scores: NDArray[np.floating] = out.numpy()
        return scores if self._multilabel or len(W) > 1 else scores[:, 0]

    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Class probabilities, shape (n, c); for an indicator one per label, independent."""
        scores = torch.from_numpy(self.decision_function(X))
        if self._multilabel:
            proba = torch.sigmoid(scores)
        elif scores.ndim == 1:
            proba = torch.sigmoid(torch.stack([-scores, scores], dim=1))
        else:
            proba = torch.softmax(scores, dim=1)
        return proba.numpy()

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels, shape (n,), or for an indicator 0 and 1, shape (n, c)."""
        scores = self.decision_function(X)
        if self._multilabel:
            return (scores > 0).astype(np.int64)
        codes = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        labels: NDArray[Any] = self.classes_[codes]
        return labels

    def sweep(
        self, X: Any, y: ArrayLike, queries: Any, values: Iterable[float]
    ) -> Iterator[tuple[float, NDArray[np.floating]]]:
        """Fit every C in `values` along one path, and score queries with each.

        Yields
        ------
        C, probabilities
            From the smallest C to the largest; probabilities as of `predict_proba`.
        """
        from featstore.probes.path import logistic_path  # which imports this module

        options = {k: v for k, v in self.get_params().items() if k not in ("C", "engine")}
        if self.engine != "torch":  # which has no path
            for C in sorted(values):
                alone = clone(self).set_params(C=C).fit(X, y)
                self.classes_ = alone.classes_
                yield C, alone.predict_proba(queries)
            return
        for probe in logistic_path(X, y, values, **options):
            self.classes_ = probe.classes_
            yield probe.C, probe.predict_proba(queries)

    def score_subsets(
        self,
        X: Any,
        y: NDArray[Any],
        subsets: Sequence[NDArray[np.intp]],
        queries: Any,
        values: Sequence[float] = (),
        *,
        asked: Sequence[NDArray[np.intp]] | None = None,
    ) -> Iterator[SubsetScores]:
        """Fit every subset of the rows with every C, together; see `featstore.subset_scores`.

        Scores are logits.  Subsets that are no small problems are fitted one after the other.
        """
        from featstore.probes.subset_logistic import is_small, logistic_subsets

        self.check_parameters()
        X = features_of(self, X, reset=True)
        Cs = list(values) or [self.C]
        small = all(is_small(len(rows), X.shape[1]) for rows in subsets)
        if not small or self.engine != "torch":
            yield from score_one_by_one(self, X, y, subsets, queries, Cs, asked=asked)
            return
        stream = RowStream.of(self, queries, reset=False)
        for found in logistic_subsets(
            X, y, subsets, Cs, tol=self.tol, max_iter=self.max_iter, device=self.device
        ):
            yield from found.heads.score(stream, asked)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def check_parameters(self) -> None:
        """Refuse parameters out of range, before any work."""
        check_engine(self.engine)
        if not (self.C > 0 and math.isfinite(self.C)):
            raise InvalidInputError(f"C must be positive and finite, got {self.C}")
        if not self.tol >= 0:
            raise InvalidInputError(f"tol must not be negative, got {self.tol}")
        if self.max_iter < 1:
            raise InvalidInputError(f"max_iter must be at least 1, got {self.max_iter}")

    def adopt(self, head: Head, targets: Targets) -> Self:
        """Set the fitted attributes, and warn if the head is not what was asked for."""
        self.classes_ = targets.classes
        self.coef_, self.intercept_ = head.coef, head.intercept
        self.certificate_ = certificate = head.certificate
        self.n_iter_ = certificate.n_iter
        self._multilabel = targets.multilabel
        if not certificate.converged:
            remedy = "rounding ended the search: raise tol"
            if certificate.n_iter == self.max_iter:
                remedy = f"max_iter={self.max_iter} was reached: raise it"
            warnings.warn(
                f"logistic regression with C={self.C:g} did not converge: relative gap about "
                f"{certificate.relative_gap:.1e} > tol={self.tol:g} after {certificate.n_iter} "
                f"iterations; {remedy}, lower C, or bring the columns of X to one scale",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self
