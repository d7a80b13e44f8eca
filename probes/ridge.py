"""RidgeProbe: least squares to targets ±1 with an L2 penalty, in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from featstore.errors import InvalidInputError
from featstore.probes.affine import AffineClassifier
from featstore.probes.device import DeviceName
from featstore.probes.engines.linear import EngineName, check_engine, linear_engine
from featstore.probes.inputs import Targets, as_tensor, features_of
from featstore.probes.moments import Moments, Precision
from featstore.probes.preconditioner import working_dtype
from featstore.probes.ridge_path import RidgePath
from featstore.probes.stream import RowStream
from featstore.probes.subset_ridge import ridge_subsets
from featstore.subset_scores import SubsetScores, score_one_by_one

#: Weights (k, d) and intercepts (k,) over raw features, of an alpha.
_Solution = Callable[[float], tuple[Tensor, Tensor]]

_RULES = {"loo": "leave-one-out", "gcv": "generalised cross-validation"}


class RidgeProbe(AffineClassifier):
    """Ridge regression of the targets ±1, as `sklearn.linear_model.RidgeClassifier` has it.

    Minimises Σ_i ‖y_i - W x_i - b‖² + α ‖W‖² with a free intercept b, where y_i is 1 for the
    row's class and -1 for the others: one column for two classes, one per class for more, one
    per label for a multi-label indicator.  One pass over the features and O(d²) memory; with
    fewer rows than columns the dual form.

    Parameters
    ----------
    alpha
        Penalty α >= 0, 0 for the shortest least-squares solution; ``"loo"`` for the one of
        `alphas` with the least leave-one-out squared error (one more pass), or ``"gcv"`` for
        generalised cross-validation.
    alphas
        Candidates of ``"loo"`` and ``"gcv"``; by default 41 from 1e-8 to 1e2 times the largest
        eigenvalue of the centred features' scatter, so that their scale does not matter.
    standardise
        Divide columns by their standard deviation plus `std_offset`; constant columns become 0.
    std_offset
        See there.
    bias
        Constant of a column that is appended to the centred features in place of the free
        intercept, its weight penalised by α too; None for the free intercept.
    dtype
        Of the products, see `featstore.probes.moments.Moments.of`.
    engine
        ``"torch"``; or ``"sklearn"`` (`Ridge`) or ``"cuml"`` to have it solve for the weights, all
        rows in memory.  These take a number for `alpha`, and neither `standardise` nor `bias`.
    device
        ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA where there is some.

    Attributes
    ----------
    classes_
        Class labels in sorted order, shape (c,); for an indicator its column numbers.
    coef_, intercept_
        Over raw features, float64, shapes (c, d) and (c,); (1, d) and (1,) for two classes.
    alpha_
        The penalty that was used.
    chosen_by_
        The rule that chose it; empty if it was given.
    certificate_
        `Conditioning`: condition number, rank, effective degrees of freedom, residual.
    n_features_in_
        Columns of the training features, d.

    Notes
    -----
    Probabilities are the softmax of the scores, for two classes that of (-score, score), and for
    a label its half of that: they keep the order of the scores and are not calibrated.

    big_vision's few-shot probe (``evaluators/fewshot_lsr.py``) is ``standardise=True,
    std_offset=1e-5, bias=100, alpha=2**10``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> probe = RidgeProbe(alpha="loo").fit(X[:1000], y[:1000])
    >>> probe.chosen_by_, probe.score(X[1000:], y[1000:]) > 0.85
    ('leave-one-out', True)
    """

    #: The hyper-parameter that validation rows choose.
    parameter: ClassVar[str] = "alpha"
    parameter_type: ClassVar[type[float]] = float
    stronger: ClassVar[str] = "larger"
    streams: ClassVar[bool] = True
    ties: ClassVar[str] = "larger"

    _log_odds_per_score = 2.0

    def __init__(
        self,
        alpha: float | Literal["loo", "gcv"] = 1.0,
        *,
        alphas: Sequence[float] | None = None,
        standardise: bool = False,
        std_offset: float = 0.0,
        bias: float | None = None,
        dtype: Precision = "auto",
        engine: EngineName = "torch",
        device: DeviceName = "cpu",
    ) -> None:
        self.alpha = alpha
        self.alphas = alphas
        self.standardise = standardise
        self.std_offset = std_offset
        self.bias = bias
        self.dtype = dtype
        self.engine = engine
        self.device = device

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Fit the head.

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
        stream, targets = self._open(X, y)
        path = self._path(stream, targets)
        solution = self._solution(path, stream, targets)
        if isinstance(self.alpha, str):
            alphas = path.penalties() if self.alphas is None else list(self.alphas)
            errors = (
                path.gcv(alphas)
                if self.alpha == "gcv"
                else path.leave_one_out(alphas, stream, targets)
            )
            # Of equal ones the strongest: where nothing can be learned, nothing is.
            best = min(zip(errors, alphas, strict=True), key=lambda pair: (pair[0], -pair[1]))
            self.chosen_by_ = _RULES[self.alpha]
            return self._settle(path, solution, float(best[1]))
        self.chosen_by_ = ""
        return self._settle(path, solution, float(self.alpha))

    def sweep(
        self, X: Any, y: ArrayLike, queries: Any, values: Iterable[float]
    ) -> Iterator[tuple[float, NDArray[np.floating]]]:
        """Solve for every α in `values` from one decomposition, and score queries with each.

        Yields
        ------
        alpha, probabilities
            In the order of `values`; probabilities as of `predict_proba`.
        """
        self._check_parameters()
        stream, targets = self._open(X, y)
        path = self._path(stream, targets)
        solution = self._solution(path, stream, targets)
        for alpha in values:
            _check_alpha(alpha)
            self._settle(path, solution, alpha)
            yield alpha, self.predict_proba(queries)

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
        """Solve for every subset of the rows and every α, together; see `featstore.subset_scores`.

        Subsets with more rows than columns, and an α that a rule chooses, are fitted one after
        the other.
        """
        self._check_parameters()
        X = features_of(self, X, reset=True)
        dual = all(len(rows) <= X.shape[1] for rows in subsets)
        ruled = isinstance(self.alpha, str) and not len(values)
        if not dual or ruled or self.engine != "torch":
            yield from score_one_by_one(self, X, y, subsets, queries, values, asked=asked)
            return
        alphas = [float(alpha) for alpha in values] or [float(self.alpha)]
        stream = RowStream.of(self, queries, reset=False)
        for heads in ridge_subsets(
            X,
            y,
            subsets,
            alphas,
            standardise=self.standardise,
            std_offset=self.std_offset,
            bias=self.bias,
            device=self.device,
        ):
            yield from heads.score(stream, asked)

    def _path(self, stream: RowStream, targets: Targets) -> RidgePath:
        moments = Moments.of(
            stream,
            targets,
            std_offset=self.std_offset if self.standardise else None,
            dtype=self.dtype,
            device=self.device,
        )
        single = not targets.multilabel and len(targets.classes) == 2
        return RidgePath.of(moments, single=single, bias=self.bias)

    def _solution(self, path: RidgePath, stream: RowStream, targets: Targets) -> _Solution:
        engine = linear_engine(self.engine)
        if engine is None:
            return path.solution
        X = stream.source if isinstance(stream.source, np.ndarray) else stream.source.array()
        X = as_tensor(X).to(working_dtype(self.dtype, X.shape)).numpy()
        labels = targets.labels
        if labels.ndim == 1:
            labels = labels[:, None] == np.arange(len(targets.classes))
        columns = labels[:, len(targets.classes) - len(path.means) :]
        Y = 2.0 * columns.astype(np.float64) - 1

        def solve(alpha: float) -> tuple[Tensor, Tensor]:
            found = engine.ridge(X, Y, alpha=alpha)
            return torch.from_numpy(found.coef), torch.from_numpy(found.intercept)

        return solve

    def _settle(self, path: RidgePath, solution: _Solution, alpha: float) -> Self:
        weights, offsets = solution(alpha)
        self.alpha_ = alpha
        self.certificate_ = path.conditioning(
            alpha, weights=None if self.engine == "torch" else weights
        )
        self._adopt(weights, offsets)
        return self

    def _check_parameters(self) -> None:
        check_engine(self.engine)
        if self.engine != "torch" and (
            isinstance(self.alpha, str) or self.standardise or self.bias is not None
        ):
            raise InvalidInputError(
                f"engine={self.engine!r} solves ridge regression for one number alpha, without "
                f"standardise and bias; got alpha={self.alpha!r}, standardise={self.standardise}, "
                f"bias={self.bias}: use engine='torch'"
            )
        if isinstance(self.alpha, str):
            if self.alpha not in _RULES:
                raise InvalidInputError(
                    f"alpha must be a number, 'loo' or 'gcv', got {self.alpha!r}"
                )
        else:
            _check_alpha(self.alpha)
        if not 0 <= self.std_offset < math.inf:
            raise InvalidInputError(f"std_offset must not be negative, got {self.std_offset}")
        if self.bias is not None and not 0 < abs(self.bias) < math.inf:
            raise InvalidInputError(f"bias must be finite and not 0, got {self.bias}")


def _check_alpha(alpha: float) -> None:
    if not 0 <= alpha < math.inf:
        raise InvalidInputError(f"alpha must be finite and not negative, got {alpha}")
