"""SVMProblem: what a linear SVM minimises over a feature matrix, and its certified solutions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.errors import InvalidInputError
from featstore.probes.centred_rows import CentredRows
from featstore.probes.certificate import Certificate
from featstore.probes.device import DeviceName, threads_for
from featstore.probes.engines.linear import LinearEngine
from featstore.probes.hinge_newton import HingeMinimum, duality_gaps, minimise_hinge
from featstore.probes.inputs import as_tensor, blocks
from featstore.probes.one_vs_rest import OneVsRest
from featstore.probes.preconditioner import GramBasis, Precision, solver_dtype
from featstore.probes.squared_hinge import SquaredHinge
from featstore.probes.stream import RowStream

_EASY = 1e-3  # of the rows' mean square: a penalty that any start will do for
_STAGE = 10.0  # between two penalties
_ON_THE_WAY = 0.1  # relative gap at those that nobody asked for
_SHORTFALLS = 2**26  # held at once, 512 MiB: more problems are solved group after group


@dataclass(frozen=True, eq=False)
class SVMHead:
    """Weights of one C.

    Attributes
    ----------
    coef, intercept
        Shapes (k, d) and (k,), float64.  A label that all or no rows have gets zero weights and
        an intercept of 1 or -1, which has no loss.
    certificate
        Of the sum over the problems.
    """

    coef: Tensor
    intercept: Tensor
    certificate: Certificate


class SVMProblem:
    """Binary problems over features, with a free or a penalised intercept.

    Parameters
    ----------
    X
        Features (n, d), finite.
    problems
        Signs and weights of the rows.
    intercept_scaling
        Value s of a constant column whose weight is penalised like the others, as liblinear has
        it; None for an intercept that is free.
    memory
        Of the features, see `featstore.probes.stream.RowStream.memory`.

    Raises
    ------
    InvalidInputError
        If no problem has both positive and negative rows.
    """

    def __init__(
        self,
        X: NDArray[np.floating],
        problems: OneVsRest,
        *,
        intercept_scaling: float | None,
        memory: Callable[[Hashable, Callable[[], Any]], Any] | None = None,
    ) -> None:
        on, off = problems.totals()
        self._varying = (on > 0) & (off > 0)
        if not self._varying.any():
            raise InvalidInputError(
                f"none of the {len(on)} classes or labels has both rows with and rows without it, "
                "of positive weight: there is nothing to tell apart"
            )
        self._without_loss = torch.where(on > 0, 1.0, -1.0).double()
        self._problems = problems.take(self._varying.nonzero()[:, 0])
        self._scaling = intercept_scaling
        self._features, self._X = X, X
        if intercept_scaling is not None:
            dtype = np.result_type(X.dtype, np.float32)
            self._X = np.empty((len(X), X.shape[1] + 1), dtype=dtype)
            self._X[:, :-1], self._X[:, -1] = X, intercept_scaling
            self._features = self._X[:, :-1]
        mean = torch.zeros(self._X.shape[1], dtype=torch.float64)
        if intercept_scaling is None:
            mean = sum((as_tensor(X[r]).sum(0, dtype=torch.float64) for r in blocks(len(X))), mean)
        self._mean = (mean / len(X)).to(problems.columns.device)
        # With a column appended these are other rows than those that remember.
        stream = RowStream.of_array(self._X, memory=None if intercept_scaling else memory)
        self._stream = stream
        self._rows = CentredRows(stream, self._mean, torch.float64)
        self._radius = max(self._rows[r].norm(dim=1).max().item() for r in blocks(len(X)))

    def solve(
        self,
        Cs: Sequence[float],
        *,
        tol: float,
        max_iter: int,
        dtype: Precision,
        device: DeviceName,
        seed: int,
    ) -> Iterator[SVMHead]:
        """Solve all problems side by side for every C, and yield heads from the smallest C on.

        Each starts from the one before: towards the hard margin, Newton's method from nowhere takes
        many times the steps.  Parameters as for `SVMProbe`.
        """
        centred = self._scaling is None
        basis = GramBasis.of(self._stream, dtype=dtype, device=device, seed=seed, centre=centred)
        k, n = len(self._problems), len(self._X)
        groups = [
            torch.arange(k, device=self._mean.device)[group]
            for group in blocks(k, max(1, _SHORTFALLS // n))
        ]
        thetas = [self._objective(group, 1.0).start() for group in groups]
        solver = f"newton {_name(basis.design.dtype)}+float64"
        reached = _EASY * basis.squared_radius
        for C in sorted(Cs):
            target = 1 / (C * n)
            n_iter, passes = 0, 0.0
            while True:
                ridge = max(target, reached / _STAGE) if reached > target * _STAGE else target
                reached = max(ridge, target)
                minima = []
                for i, group in enumerate(groups):
                    with threads_for(4.0 * basis.design.numel() * len(group), self._mean.device):
                        minima.append(
                            minimise_hinge(
                                self._objective(group, ridge),
                                basis,
                                self._radius,
                                start=thetas[i],
                                tol=tol if ridge == target else max(tol, _ON_THE_WAY),
                                max_iter=max(1, max_iter - n_iter),
                            )
                        )
                    thetas[i] = minima[-1].theta
                whole = HingeMinimum.joined(minima)
                n_iter, passes = n_iter + whole.n_iter, passes + whole.passes
                if ridge == target:
                    break
            whole = replace(whole, n_iter=n_iter, passes=passes)
            yield self._head(whole, tol, solver)

    def solve_by(
        self, engine: LinearEngine, C: float, *, tol: float, max_iter: int, dtype: Precision
    ) -> SVMHead:
        """Let another library solve the problems one after the other, and certify its weights.

        Free intercepts are moved to what is best for the weights, as the certificate wants.
        """
        working = solver_dtype(dtype, self._X.shape)
        X = as_tensor(self._features).to(working).numpy()
        roots, sides = self._problems.signed_roots(slice(None)), self._problems.sides(slice(None))
        theta = torch.zeros(len(roots), len(self._mean) + 1, dtype=torch.float64)
        n_iter = 0
        for j, (weights, positive) in enumerate(zip(roots.square(), sides, strict=True)):
            found = engine.svm(
                X,
                positive.cpu().numpy(),
                C=C,
                tol=tol,
                max_iter=max_iter,
                sample_weight=weights.cpu().numpy(),
                intercept_scaling=self._scaling,
            )
            w, b = torch.from_numpy(found.coef[0]), float(found.intercept[0])
            theta[j, : len(w)] = w
            theta[j, len(w)] = (
                b + w @ self._mean.cpu() if self._scaling is None else b / self._scaling
            )
            n_iter = max(n_iter, found.n_iter)
        theta = theta.to(self._mean.device)
        everything = torch.arange(len(roots), device=theta.device)
        objective = self._objective(everything, 1 / (C * len(self._X)))
        E = objective.shortfalls(theta)
        objective.settle_intercepts(theta, E)
        value = objective.evaluate(theta, E)
        gaps = duality_gaps(objective, theta, value, self._radius)
        minimum = HingeMinimum(theta, value.values, gaps, value.gradient, n_iter, objective.passes)
        return self._head(minimum, tol, f"{engine.name} {_name(working)}")

    def _objective(self, group: Tensor, ridge: float) -> SquaredHinge:
        free = self._scaling is None
        ridges = torch.full((len(group),), ridge, dtype=torch.float64, device=group.device)
        return SquaredHinge(self._rows, self._problems.take(group), ridges, free_intercept=free)

    def _head(self, minimum: HingeMinimum, tol: float, solver: str) -> SVMHead:
        W, b = minimum.theta[:, :-1], minimum.theta[:, -1]
        gradient = minimum.gradient.clone()
        if self._scaling is None:
            b = b - W @ self._mean
            # At a fixed intercept of uncentred features the weights' gradient gains the mean's.
            gradient[:, :-1] += torch.outer(gradient[:, -1], self._mean)
        else:
            W, b = W[:, :-1], W[:, -1] * self._scaling
            gradient = gradient[:, :-1]
            gradient[:, -1] /= self._scaling
        value, gap = minimum.values.sum().item(), minimum.gaps.sum().item()
        certificate = Certificate(
            objective=value,
            gradient_norm=gradient.norm().item(),
            gap_bound=gap,
            relative_gap=gap / value,
            converged=bool((minimum.gaps <= tol * minimum.values).all()),
            n_iter=minimum.n_iter,
            passes=minimum.passes,
            solver=solver,
        )
        coef = W.new_zeros(len(self._varying), W.shape[1])
        intercept = self._without_loss.clone()
        coef[self._varying], intercept[self._varying] = W, b
        return SVMHead(coef.cpu(), intercept.cpu(), certificate)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
