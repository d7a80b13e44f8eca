"""Head: a fitted linear map from features to logits, and the solve that finds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.errors import InvalidInputError
from featstore.probes.certificate import CentredRows, Certificate, gap_bound
from featstore.probes.curvature_pairs import CurvaturePairs
from featstore.probes.device import threads_for
from featstore.probes.inputs import Targets, as_tensor
from featstore.probes.lbfgs import DECREMENT_SAFETY, gap_estimate, minimise, settle_intercept
from featstore.probes.loss import Loss, Sigmoid, Softmax
from featstore.probes.objective import Objective
from featstore.probes.path_point import PathPoint
from featstore.probes.preconditioner import GramBasis, KroneckerMetric

_SEARCH_TOL = 0.5  # of tol: room for the evaluation in float64 to differ from the solver's


@dataclass(frozen=True, eq=False)
class Head:
    """A linear head over raw features.

    Attributes
    ----------
    coef, intercept
        Shapes (c, d) and (c,), float64; (1, d) and (1,) for two classes.
    certificate
        How far from the optimum.
    point
        Where it lies on a path: a start for another C.
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    certificate: Certificate
    point: PathPoint


def fit_head(
    X: NDArray[np.floating],
    targets: Targets,
    basis: GramBasis,
    *,
    C: float,
    tol: float,
    max_iter: int,
    start: PathPoint | None = None,
) -> Head:
    """Minimise the mean loss + ‖W‖² / (2 C n) in the basis; certify on the raw features.

    Parameters
    ----------
    X
        Raw features (n, d), finite.
    targets
        What to fit.
    basis
        ``GramBasis.of(X)``: decides precision and device.
    C, tol, max_iter
        As for `LogisticProbe`.
    start
        `Head.point` of another C, same features and targets; default all weights zero.

    Raises
    ------
    InvalidInputError
        If there is nothing to tell apart.
    """
    loss = _loss(targets, basis.design.device)
    ridge = 1.0 / (C * len(X))
    if start is None:
        weights = torch.zeros(loss.n_columns, basis.design.shape[1], dtype=torch.float64)
        theta = torch.cat([weights.to(basis.design.device), loss.start()[:, None]], dim=1)
        tangent, pairs = None, None
    else:
        theta, tangent = start.theta, start.tangent(ridge)
        pairs = start.pairs.at_ridge(ridge - start.ridge, dtype=basis.design.dtype)
    n_iter, passes, precisions = 0, 0.0, []
    # Where float32 does not lead to tol, float64 products over its float32 design go on.
    for dtype in dict.fromkeys([basis.design.dtype, torch.float64]):
        objective = Objective(basis.design, loss, ridge, dtype=dtype)
        metric = KroneckerMetric(basis, ridge, dtype=dtype)
        with threads_for(4.0 * basis.design.numel() * loss.n_columns, basis.design.device):
            minimum = minimise(
                objective,
                metric,
                theta,
                tol=_SEARCH_TOL * tol,
                max_iter=max_iter - n_iter,
                tangent=tangent,
                pairs=pairs,
            )
        theta, tangent, pairs = minimum.theta, None, None
        n_iter += minimum.n_iter
        precisions.append(str(dtype).removeprefix("torch."))
        # From here on float64, and the raw features in place of the working copy.
        centred = basis.to_features(theta.to(torch.float64, copy=True))
        found = _Evaluation.of(X, loss, ridge, basis, centred)
        passes += objective.passes + found.passes
        relative_gap = found.relative_gap(basis, metric, ridge, safety=minimum.safety)
        if relative_gap <= tol or n_iter == max_iter:
            break
    certificate = found.certificate(
        basis,
        loss,
        ridge,
        relative_gap=relative_gap,
        tol=tol,
        n_iter=n_iter,
        passes=passes,
        solver=f"kfac-lbfgs {'+'.join(precisions)}",
    )
    point = PathPoint(ridge, theta, minimum.pairs).after(start)
    return Head(*_raw(found.theta, basis, targets), certificate, point)


def certify_head(
    X: NDArray[np.floating],
    targets: Targets,
    basis: GramBasis,
    coef: Tensor,
    intercept: Tensor,
    *,
    C: float,
    tol: float,
    n_iter: int,
    solver: str,
) -> Head:
    """Certify weights that another solver found, at the intercepts that are best for them.

    Parameters
    ----------
    X, targets, basis, C, tol
        As for `fit_head`.
    coef, intercept
        Over raw features, of the columns that are fitted: shapes (k, d) and (k,).
    n_iter, solver
        What the certificate says about the way.
    """
    loss = _loss(targets, basis.design.device)
    ridge = 1.0 / (C * len(X))
    coef, intercept = (a.to(basis.mean.device, torch.float64) for a in (coef, intercept))
    theta = torch.cat([coef, (intercept + coef @ basis.mean)[:, None]], dim=1)
    found = _Evaluation.of(X, loss, ridge, basis, theta)
    metric = KroneckerMetric(basis, ridge, dtype=torch.float64)
    metric.refresh(found.class_curvature)
    certificate = found.certificate(
        basis,
        loss,
        ridge,
        relative_gap=found.relative_gap(basis, metric, ridge, safety=DECREMENT_SAFETY),
        tol=tol,
        n_iter=n_iter,
        passes=found.passes,
        solver=solver,
    )
    point = PathPoint(ridge, basis.from_features(found.theta), CurvaturePairs())
    return Head(*_raw(found.theta, basis, targets), certificate, point)


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """A head on the raw features, in float64, whoever found it.

    `theta` is over centred features, (k, d + 1), and its intercepts are optimal for the weights.
    """

    theta: Tensor
    value: float
    gradient: Tensor
    class_curvature: Tensor
    passes: float

    @classmethod
    def of(
        cls, X: NDArray[np.floating], loss: Loss, ridge: float, basis: GramBasis, theta: Tensor
    ) -> _Evaluation:
        raw = Objective(CentredRows(as_tensor(X), basis.mean), loss, ridge, dtype=torch.float64)
        U, V = raw.margins(theta, out=raw.new_margins()), raw.new_margins()
        settle_intercept(raw, theta, U, scratch=V)
        value, gradient = raw.value_and_gradient(theta, U, scratch=V)
        return cls(theta, value, gradient, raw.class_curvature(U), raw.passes)

    def relative_gap(
        self, basis: GramBasis, metric: KroneckerMetric, ridge: float, *, safety: float
    ) -> float:
        local = metric.to_eigenbasis(basis.from_features(self.gradient).to(metric.dtype))
        return gap_estimate(local, metric, ridge, value=self.value, safety=safety) / self.value

    def certificate(
        self,
        basis: GramBasis,
        loss: Loss,
        ridge: float,
        *,
        relative_gap: float,
        tol: float,
        n_iter: int,
        passes: float,
        solver: str,
    ) -> Certificate:
        bound = gap_bound(loss, ridge, self.theta, self.value, self.gradient, basis.squared_radius)
        # At a fixed intercept of uncentred features the weights' gradient gains the mean's share.
        uncentred = self.gradient.clone()
        uncentred[:, :-1] += torch.outer(self.gradient[:, -1], basis.mean)
        return Certificate(
            objective=self.value,
            gradient_norm=uncentred.norm().item(),
            gap_bound=bound,
            relative_gap=min(relative_gap, bound / self.value),
            converged=relative_gap <= tol,
            n_iter=n_iter,
            passes=passes,
            solver=solver,
        )


def _raw(
    theta: Tensor, basis: GramBasis, targets: Targets
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights and intercepts over raw features, those of constant labels included."""
    coef = theta[:, :-1].clone()
    intercept = theta[:, -1] - coef @ basis.mean
    if targets.multilabel:
        labels = torch.from_numpy(targets.labels).to(coef.device)
        coef, intercept = _expand(coef, intercept, labels)
    return coef.cpu().numpy(), intercept.cpu().numpy()


def _loss(targets: Targets, device: torch.device) -> Loss:
    """Softmax for c >= 3 classes, one sigmoid for two, one per varying label of an indicator."""
    labels, n_classes = torch.from_numpy(targets.labels).to(device), len(targets.classes)
    if targets.multilabel:
        varying = _varying(labels)
        if not varying.any():
            raise InvalidInputError(
                f"none of the {len(varying)} labels has both rows with and rows without it: "
                "there is nothing to tell apart"
            )
        return Sigmoid(labels[:, varying])
    if n_classes == 1:
        raise InvalidInputError(
            f"y has one class only, {targets.classes.tolist()[0]!r}: a probe needs at least two"
        )
    return Sigmoid(labels[:, None] == 1) if n_classes == 2 else Softmax(labels, n_classes)


def _varying(labels: Tensor) -> Tensor:
    """Labels that some rows have and some have not, shape (c,), bool."""
    return labels.any(0) & ~labels.all(0)


def _expand(coef: Tensor, intercept: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Add the constant labels; the optimum of each is at zero weights and ± infinity."""
    varying = _varying(labels)
    full_coef = coef.new_zeros(len(varying), coef.shape[1])
    full_intercept = torch.where(labels[0], torch.inf, -torch.inf).double()
    full_coef[varying], full_intercept[varying] = coef, intercept
    return full_coef, full_intercept
