"""LogisticProbe: exact L2-penalised logistic regression, with a certificate of how exact."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from featstore.ceiling import parse_bytes
from featstore.errors import InvalidInputError
from featstore.link import Link
from featstore.probes.affine import AffineClassifier
from featstore.probes.device import DeviceName
from featstore.probes.engines.head import engine_head
from featstore.probes.engines.linear import EngineName, check_engine, linear_engine
from featstore.probes.head import Head, fit_head
from featstore.probes.head_problem import HeadProblem
from featstore.probes.inputs import features_of
from featstore.probes.preconditioner import GramBasis, Precision
from featstore.probes.stream import RowStream
from featstore.probes.weighting import ClassWeight, Weighting
from featstore.subset_scores import SubsetScores, score_one_by_one

MultiClass = Literal["multinomial", "ovr"]


class LogisticProbe(AffineClassifier):
    """Logistic regression whose optimum is scikit-learn's, reached by far fewer passes.

    Minimises C Σ_i s_i loss_i + ‖W‖² / 2 with a free intercept, as
    `sklearn.linear_model.LogisticRegression` does: a softmax for three and more classes, one
    logit for two, and independent sigmoids for a multi-label indicator (one binary regression
    per label, all with the same C).  The weights s_i are 1 unless given.

    Parameters
    ----------
    C
        Inverse strength of the penalty, > 0.
    class_weight
        Weights of the classes' rows, ``{class: weight}`` or ``"balanced"``, see
        `featstore.probes.weighting.Weighting.of`.
    multi_class
        ``"multinomial"``, or ``"ovr"`` for a binary regression of each class against the rest;
        of no effect on two classes and on an indicator.
    tol
        Relative suboptimality (f - min f) / f to reach, as estimated by the solver.
    max_iter
        Bound on the solver's iterations, each one pass over the features.
    dtype
        Precision of the bulk of the work: ``"float32"``, ``"float64"``, or ``"auto"``, which is
        float64 below a million numbers in X and float32 above; where the processor has products of
        bfloat16 matrices, steps then are such, around anchors in float32.  Where float32 stalls
        above `tol`, the rest of the way is gone in float64 products over the float32 working copy.
    engine
        ``"torch"``; or ``"sklearn"`` (`LogisticRegression`) or ``"cuml"`` to have it solve the
        problem, with `tol` and `max_iter` as its own.  float16 features are widened first.
    max_memory
        Bytes, or e.g. ``"2GB"``, for what the solver makes: its working copy of the features, the
        logits, the parameters and their history.  Below what these take, logits are done
        without, and then the working copy: the features are read from where they are in every
        pass, a view from its store.  None for the quickest way.
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
        weights and an intercept of plus or minus infinity, its limit; so does a class whose rows
        weigh nothing.
    n_iter_
        Iterations of the solver.
    certificate_
        `Certificate`: objective, gradient norm, rigorous gap bound.
    n_features_in_
        Columns of the training features, d.

    Notes
    -----
    Results are bit-identical for the same input, seed, kind of processor, `max_memory` and number
    of threads.

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
    streams: ClassVar[bool] = True

    def __init__(
        self,
        C: float = 1.0,
        *,
        class_weight: ClassWeight = None,
        multi_class: MultiClass = "multinomial",
        tol: float = 1e-6,
        max_iter: int = 1000,
        dtype: Precision = "auto",
        engine: EngineName = "torch",
        max_memory: int | str | None = None,
        device: DeviceName = "cpu",
        seed: int = 0,
    ) -> None:
        self.C = C
        self.class_weight = class_weight
        self.multi_class = multi_class
        self.tol = tol
        self.max_iter = max_iter
        self.dtype = dtype
        self.engine = engine
        self.max_memory = max_memory
        self.device = device
        self.seed = seed

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        basis: GramBasis | None = None,
    ) -> Self:
        """Fit the head.

        Parameters
        ----------
        X
            Features (n, d): NumPy array, torch tensor, anything with ``array()`` or
            ``__array__``, or a view; float16, bfloat16, float32 or float64.
        y
            Labels (n,) of any dtype, or an indicator (n, c) of 0 and 1, which may be sparse.
        sample_weight
            Weights of the rows, shape (n,), not negative; 2 is twice the row, 0 is none.
        basis
            `GramBasis.of(X)`, when several heads are fitted to the same features; it decides
            precision and device in place of `dtype`, `device` and `seed`.

        Raises
        ------
        InvalidInputError
            If X holds NaN or infinity, y has one class only or another length than X, weights are
            negative, a parameter is out of range, or `basis` belongs to other features.
        MemoryCeilingError
            If `max_memory` does not hold the least that the solver needs.

        Warns
        -----
        ConvergenceWarning
            If `tol` was not reached; `certificate_` says what was.
        """
        self.check_parameters()
        problem = self.problem(X, y, sample_weight, basis=basis)
        engine = linear_engine(self.engine)
        solve = fit_head if engine is None else partial(engine_head, engine, dtype=self.dtype)
        return self.adopt(solve(problem, C=self.C, tol=self.tol, max_iter=self.max_iter))

    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Class probabilities, shape (n, c); for an indicator one per label, independent.

        With ``multi_class="ovr"`` each class's own, divided by their sum.
        """
        scores = self.decision_function(X)
        if not self._one_vs_rest:
            return self._probabilities(scores)
        # Without underflow: the quotient is a softmax of logarithms.
        logs = torch.nn.functional.logsigmoid(torch.from_numpy(scores))
        return torch.softmax(logs, dim=1).numpy()

    @property
    def link_(self) -> Link | None:
        """How the scores of the fitted head become probabilities; None with ``"ovr"``."""
        return None if self._one_vs_rest else super().link_

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
            if callable(getattr(queries, "array", None)) and not self._bounded(queries):
                queries = features_of(probe, queries, reset=False)  # once for all values
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
        plain = self.class_weight is None and self.multi_class == "multinomial"
        if not (small and plain) or self.engine != "torch":
            yield from score_one_by_one(self, X, y, subsets, queries, Cs, asked=asked)
            return
        stream = RowStream.of(self, queries, reset=False)
        for found in logistic_subsets(
            X, y, subsets, Cs, tol=self.tol, max_iter=self.max_iter, device=self.device
        ):
            yield from found.heads.score(stream, asked)

    def check_parameters(self) -> None:
        """Refuse parameters out of range, before any work."""
        check_engine(self.engine)
        if not (self.C > 0 and math.isfinite(self.C)):
            raise InvalidInputError(f"C must be positive and finite, got {self.C}")
        if not self.tol >= 0:
            raise InvalidInputError(f"tol must not be negative, got {self.tol}")
        if self.max_iter < 1:
            raise InvalidInputError(f"max_iter must be at least 1, got {self.max_iter}")
        if self.multi_class not in ("multinomial", "ovr"):
            raise InvalidInputError(
                f"multi_class must be 'multinomial' or 'ovr', got {self.multi_class!r}"
            )
        if self.max_memory is not None:
            parse_bytes(self.max_memory)

    def problem(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        basis: GramBasis | None = None,
    ) -> HeadProblem:
        """Check and prepare what is to be fitted: all that does not depend on C."""
        ceiling = None if self.max_memory is None else parse_bytes(self.max_memory)
        stream, targets = self._open(X, y, whole=not self._bounded(X))
        one_vs_rest = self.multi_class == "ovr"
        weighting = Weighting.of(
            targets,
            sample_weight=sample_weight,
            class_weight=self.class_weight,
            one_vs_rest=one_vs_rest,
        )
        return HeadProblem.of(
            stream,
            targets,
            weighting,
            one_vs_rest=one_vs_rest,
            dtype=self.dtype,
            device=self.device,
            seed=self.seed,
            ceiling=ceiling,
            view_ceiling=getattr(X, "max_memory", None),
            basis=basis,
        )

    def _bounded(self, X: Any) -> bool:
        return self.max_memory is not None or getattr(X, "max_memory", None) is not None

    def adopt(self, head: Head) -> Self:
        """Set the fitted attributes, and warn if the head is not what was asked for."""
        self._one_vs_rest = (
            self.multi_class == "ovr" and not self._multilabel and len(self.classes_) > 2
        )
        self._adopt(torch.from_numpy(head.coef), torch.from_numpy(head.intercept))
        self.certificate_ = certificate = head.certificate
        self.n_iter_ = certificate.n_iter
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
