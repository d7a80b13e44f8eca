"""SVMProbe: the linear support vector machine with squared hinge loss, one against the rest."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from featstore.errors import InvalidInputError
from featstore.probes.affine import AffineClassifier
from featstore.probes.device import DeviceName, device_of
from featstore.probes.engines.linear import EngineName, check_engine, linear_engine
from featstore.probes.inputs import as_tensor, blocks, features_of
from featstore.probes.one_vs_rest import ClassWeight, OneVsRest
from featstore.probes.preconditioner import Precision
from featstore.probes.row_maps import UnitRows
from featstore.probes.svm_problem import SVMHead, SVMProblem


class SVMProbe(AffineClassifier):
    """Linear SVM, as `sklearn.svm.LinearSVC` has it, solved for all classes together, exactly.

    Minimises C Σ_i c_i max(0, 1 - y_i (w·x_i + b))² + ‖w‖² / 2 for each class against all
    others; two classes are one problem, and labels of a multi-label indicator one each.

    Parameters
    ----------
    C
        Inverse strength of the penalty, > 0.
    intercept_scaling
        None for an intercept that is not penalised, so that moving all features changes nothing.
        A number s adds (b / s)² / 2 to the objective, as LinearSVC does with its default of 1.
    class_weight
        As LinearSVC: a dictionary of weights per class, or ``"balanced"``.  With more than two
        classes it weighs a class's rows in the problem of this class alone.  Of an indicator, only
        ``"balanced"``: n / (2 n_side) within each label.
    positive_weight
        Weight of a class's own rows against all others in each problem; of two classes, of
        those of ``classes_[1]``.
    normalise
        Divide rows by their l2 norm plus `norm_offset`; zero rows stay zero.
    norm_offset
        See there.
    tol
        Relative duality gap to reach in every problem, proven.
    max_iter
        Bound on Newton steps for a C.  Each takes one pass in float64 and several in `dtype`.
    dtype
        Precision of the bulk of the work: ``"float32"``, ``"float64"``, or ``"auto"``, which is
        float64 below a million numbers in X.  The result is that of float64 either way.
    engine
        ``"torch"``; or ``"sklearn"`` (LinearSVC) or ``"cuml"`` to have it solve the problems, with
        `tol` and `max_iter` as its own.  scikit-learn needs `intercept_scaling`, cuML None or 1.
        float16 features are widened first.
    device
        ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA where there is some; where the torch engine
        and the certificate compute.
    seed
        Draws the sample of rows behind the preconditioner; of no effect on the optimum.

    Attributes
    ----------
    classes_
        Class labels in sorted order, shape (c,); for an indicator its column numbers.
    coef_, intercept_
        Over raw features, float64, shapes (c, d) and (c,), or (1, d) and (1,) for two classes; not
        with `normalise`.  A label that all or no training rows have gets zero weights and an
        intercept of 1 or -1.
    n_iter_
        Newton steps, or the engine's iterations.
    certificate_
        `Certificate`: objective Σ_classes (mean loss + ‖w‖² / (2 C n)), gradient norm, and the
        duality gap as a rigorous bound.
    n_features_in_
        Columns of the training features, d.

    Notes
    -----
    Scores are margins.  Probabilities are their softmax, and sigmoid for two classes and labels:
    they keep the order of the scores and are not calibrated.

    VISSL's SVM (``svm_trainer.py``) is ``normalise=True, norm_offset=1e-5, positive_weight=2,
    intercept_scaling=1``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> probe = SVMProbe(C=0.01).fit(X[:1000], y[:1000])
    >>> probe.certificate_.converged, probe.score(X[1000:], y[1000:]) > 0.85
    (True, True)
    """

    #: The hyper-parameter that validation rows choose.
    parameter: ClassVar[str] = "C"
    parameter_type: ClassVar[type[float]] = float
    stronger: ClassVar[str] = "smaller"
    recalls: ClassVar[bool] = True

    def __init__(
        self,
        C: float = 1.0,
        *,
        intercept_scaling: float | None = None,
        class_weight: ClassWeight = None,
        positive_weight: float = 1.0,
        normalise: bool = False,
        norm_offset: float = 0.0,
        tol: float = 1e-6,
        max_iter: int = 200,
        dtype: Precision = "auto",
        engine: EngineName = "torch",
        device: DeviceName = "cpu",
        seed: int = 0,
    ) -> None:
        self.C = C
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.positive_weight = positive_weight
        self.normalise = normalise
        self.norm_offset = norm_offset
        self.tol = tol
        self.max_iter = max_iter
        self.dtype = dtype
        self.engine = engine
        self.device = device
        self.seed = seed

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the head.

        Parameters
        ----------
        X
            Features (n, d): NumPy array, torch tensor, or anything with ``array()`` or
            ``__array__``; float16, float32 or float64.
        y
            Labels (n,) of any dtype, or an indicator (n, c) of 0 and 1.
        sample_weight
            Shape (n,), not negative; multiplies the rows' losses.

        Raises
        ------
        InvalidInputError
            If X holds NaN or infinity, y has one class only or another length than X, weights
            cannot be used, a parameter is out of range, or the engine cannot do what is asked.
        MissingDependencyError
            If the engine is not installed.

        Warns
        -----
        ConvergenceWarning
            If `tol` was not reached; `certificate_` says what was.
        """
        self._check_parameters()
        problem = self._problem(X, y, sample_weight)
        (head,) = self._heads(problem, [self.C])
        return self._take(head)

    def sweep(
        self, X: Any, y: ArrayLike, queries: Any, values: Iterable[float]
    ) -> Iterator[tuple[float, NDArray[np.floating]]]:
        """Solve for every C in `values` along one path, and score queries with each.

        Yields
        ------
        C, probabilities
            From the smallest C to the largest; probabilities as of `predict_proba`.
        """
        values = sorted(values)
        for C in values:
            _check_positive("C", C)
        self._check_parameters()
        problem = self._problem(X, y, None)
        for C, head in zip(values, self._heads(problem, values), strict=True):
            self._take(head)
            yield C, self.predict_proba(queries)

    def _problem(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None) -> SVMProblem:
        stream, targets = self._open(X, y, whole=True)
        features = stream.source
        if not isinstance(features, np.ndarray):  # bfloat16, which NumPy does not have
            features = features_of(self, features, reset=False)
        problems = OneVsRest.of(
            targets,
            sample_weight=sample_weight,
            class_weight=self.class_weight,
            positive_weight=self.positive_weight,
            device=device_of(self.device),
        )
        rows = self._normalised(features) if self.normalise else features
        memory = None if self.normalise else stream.memory
        return SVMProblem(rows, problems, intercept_scaling=self.intercept_scaling, memory=memory)

    def _heads(self, problem: SVMProblem, Cs: list[float]) -> Iterator[SVMHead]:
        engine = linear_engine(self.engine)
        if engine is None:
            yield from problem.solve(
                Cs,
                tol=self.tol,
                max_iter=self.max_iter,
                dtype=self.dtype,
                device=self.device,
                seed=self.seed,
            )
            return
        for C in Cs:
            yield problem.solve_by(
                engine, C, tol=self.tol, max_iter=self.max_iter, dtype=self.dtype
            )

    def _take(self, head: SVMHead) -> Self:
        self.certificate_ = certificate = head.certificate
        self.n_iter_ = certificate.n_iter
        prepare = UnitRows(offset=self.norm_offset) if self.normalise else None
        self._adopt(head.coef, head.intercept, prepare=prepare)
        if not certificate.converged:
            remedy = "rounding ended the search: raise tol"
            if certificate.n_iter >= self.max_iter:
                remedy = f"max_iter={self.max_iter} was reached: raise it"
            warnings.warn(
                f"the SVM did not converge: relative duality gap {certificate.relative_gap:.1e}, "
                f"tol={self.tol:g}, after {certificate.n_iter} iterations; {remedy}, lower C, or "
                "bring the columns of X to one scale",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _normalised(self, X: NDArray[np.floating]) -> NDArray[np.floating]:
        unit = UnitRows(offset=self.norm_offset)
        out = np.empty(X.shape, dtype=np.result_type(X.dtype, np.float32))
        for rows in blocks(len(X)):
            out[rows] = unit(as_tensor(X[rows])).numpy()
        return out

    def _check_parameters(self) -> None:
        _check_positive("C", self.C)
        check_engine(self.engine)
        if self.intercept_scaling is not None:
            _check_positive("intercept_scaling", self.intercept_scaling)
        for name in ("tol", "norm_offset"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InvalidInputError(
                    f"{name} must be finite and not negative, got {getattr(self, name)}"
                )
        if self.max_iter < 1:
            raise InvalidInputError(f"max_iter must be at least 1, got {self.max_iter}")


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise InvalidInputError(f"{name} must be positive and finite, got {value}")
