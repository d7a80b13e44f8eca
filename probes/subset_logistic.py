"""Logistic regression on many subsets at once: few shots, drawn over and over, or episodes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from featstore.errors import InvalidInputError
from featstore.probes.device import DeviceName, device_of, threads_for
from featstore.probes.inputs import as_tensor
from featstore.probes.row_families import RowFamily, row_families
from featstore.probes.softmax_stack import SoftmaxStack
from featstore.probes.stacked_lbfgs import minimise_stack
from featstore.probes.subset_coordinates import SubsetCoordinates
from featstore.probes.subset_heads import SubsetHeads
from featstore.probes.subset_stacks import SubsetStack, shared_origin, subset_stacks

_FAMILY_BYTES = 2**28  # of rows and Gram matrices that are held at a time
_SMALL = 2**22  # numbers in the coordinates of a problem; above, its own products fill a machine


@dataclass(frozen=True, eq=False)
class LogisticHeads:
    """Exact heads of s subsets of one shape, for one C, with their certificates.

    Attributes
    ----------
    heads
        How they score; of two classes each has half the weights.
    C
        Inverse penalty.
    objective
        f = mean loss + ‖W‖² / (2 C n), scikit-learn's objective divided by C n, shape (s,).
    gap_bound
        Upper bounds on f - min f: duality gaps, shape (s,).
    converged
        Whether ``gap_bound <= tol * objective``, shape (s,).
    n_iter
        Iterations of the solver, shape (s,).
    """

    heads: SubsetHeads
    C: float
    objective: NDArray[np.float64]
    gap_bound: NDArray[np.float64]
    converged: NDArray[np.bool_]
    n_iter: NDArray[np.int64]

    @property
    def subsets(self) -> NDArray[np.intp]:
        """Numbers of the subsets, shape (s,)."""
        return self.heads.subsets

    @property
    def coef(self) -> NDArray[np.float64]:
        """Weights over raw features, shape (s, c, d); (s, 1, d) for two classes."""
        return _single(self.heads.weights).cpu().numpy()

    @property
    def intercept(self) -> NDArray[np.float64]:
        """Intercepts over raw features, shape (s, c); (s, 1) for two classes."""
        shifted = self.heads.offsets - self.heads.weights @ self.heads.origin
        return _single(shifted).cpu().numpy()


def logistic_subsets(
    X: NDArray[np.floating],
    y: NDArray[Any],
    subsets: Sequence[NDArray[np.intp]],
    Cs: Sequence[float],
    *,
    tol: float = 1e-6,
    max_iter: int = 1000,
    device: DeviceName = "cpu",
) -> Iterator[LogisticHeads]:
    """Fit one logistic regression for every subset of the rows and every C.

    Each is the problem that `LogisticProbe` and scikit-learn's `LogisticRegression` solve.  With
    n rows of d > n columns all that is needed of the features is the rows' Gram matrix (the dual
    form); it is shared by every C and by nested subsets.  Subsets of one shape are solved
    together, each C from the one before.

    Parameters
    ----------
    X
        Features (n, d), finite, any floating dtype.
    y
        Class labels (n,).
    subsets
        Rows of each problem, (n_i,), without repetition.
    Cs
        Inverse penalties, > 0, in any order.
    tol
        Relative duality gap to reach: a bound, not an estimate.
    max_iter
        Bound on the iterations of each problem.
    device
        Where to compute.

    Yields
    ------
    heads
        Subsets of one shape with one C; C from the smallest to the largest.

    Raises
    ------
    InvalidInputError
        If a subset has one class only, or a C is not positive and finite.

    Warns
    -----
    ConvergenceWarning
        If problems have not reached `tol`; `LogisticHeads.converged` says which.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> draws = [np.arange(start, start + 50) for start in range(0, 1000, 50)]
    >>> [found] = logistic_subsets(X / 16, y, draws, [1.0])
    >>> found.coef.shape, bool(found.converged.all())
    ((20, 10, 64), True)
    """
    for C in Cs:
        if not 0 < C < np.inf:
            raise InvalidInputError(f"C must be positive and finite, got {C}")
    if not tol >= 0 or max_iter < 1:
        raise InvalidInputError(
            f"tol must not be negative and max_iter at least 1, got {tol} and {max_iter}"
        )
    where = device_of(device)
    values = as_tensor(X)
    d = X.shape[1]
    origin = shared_origin(values, subsets).to(where)
    for families in _groups(row_families(subsets), d):
        members = [i for family in families for i in family.members]
        owners = {i: family for family in families for i in family.members}
        dual = [f for f in families if any(len(subsets[i]) <= d for i in f.members)]
        grams = _grams(values, dual, origin)
        for stack in subset_stacks(y, [subsets[i] for i in members], dim=d):
            numbers = np.asarray(members)[stack.subsets]
            rows = torch.from_numpy(stack.rows)
            features = values[rows].to(where, torch.float64) - origin  # (s, n, d)
            if stack.rows.shape[1] <= d:
                blocks = [
                    _block(grams, owners[i], own)
                    for i, own in zip(numbers.tolist(), stack.rows, strict=True)
                ]
                coordinates = SubsetCoordinates.of_gram(torch.stack(blocks))
            else:
                coordinates = SubsetCoordinates.of_rows(features)
            yield from _path(
                stack,
                numbers,
                features,
                coordinates,
                sorted(Cs),
                origin,
                tol=tol,
                max_iter=max_iter,
            )


def _path(
    stack: SubsetStack,
    numbers: NDArray[np.intp],
    features: Tensor,
    coordinates: SubsetCoordinates,
    Cs: Sequence[float],
    origin: Tensor,
    *,
    tol: float,
    max_iter: int,
) -> Iterator[LogisticHeads]:
    s, n, r = coordinates.shape
    k = stack.classes.shape[1]
    # Two classes share one logit, as in scikit-learn: a softmax splits its weights in halves,
    # whose squares add up to half of the square.
    sharing = 2.0 if k == 2 else 1.0
    codes = torch.from_numpy(stack.codes).to(features.device)
    ridges = features.new_full((s,), 1.0)
    problems = SoftmaxStack.of(coordinates.design, coordinates.eigenvalues, codes, ridges)
    theta = problems.start()
    mean = features.mean(dim=1)
    for C in Cs:
        problems = problems.with_ridge(ridges * (sharing / (C * n)))
        with threads_for(4.0 * s * n * r * k, features.device):
            found = minimise_stack(problems, theta, tol=tol, max_iter=max_iter)
        theta = found.theta
        weights = coordinates.to_features(theta[:, :, :-1], features)
        offsets = theta[:, :, -1] - (weights @ mean[:, :, None])[:, :, 0]
        converged = (found.gap_bound <= tol * found.value).cpu().numpy()
        if not converged.all():
            worst = (found.gap_bound / found.value).max().item()
            warnings.warn(
                f"{(~converged).sum()} of {s} logistic regressions on {n} rows with C={C:g} did "
                f"not converge: relative gap at most {worst:.1e} > tol={tol:g}; raise max_iter "
                f"({max_iter}) or tol, or lower C",
                ConvergenceWarning,
                stacklevel=3,
            )
        heads = SubsetHeads(numbers, C, stack.classes, weights, offsets, origin, None, converged)
        yield LogisticHeads(
            heads,
            C,
            found.value.cpu().numpy(),
            found.gap_bound.cpu().numpy(),
            converged,
            found.n_iter.cpu().numpy(),
        )


def _single(values: Tensor) -> Tensor:
    """Of two classes the difference, which is all that the data determine."""
    return values[:, 1:] - values[:, :1] if values.shape[1] == 2 else values


def _groups(families: list[RowFamily], dim: int) -> Iterator[list[RowFamily]]:
    """Families whose rows and Gram matrices fit in memory together."""
    group: list[RowFamily] = []
    held = 0
    for family in families:
        size = 8 * len(family.rows) * (dim + len(family.rows))
        if group and held + size > _FAMILY_BYTES:
            yield group
            group, held = [], 0
        group.append(family)
        held += size
    if group:
        yield group


def _grams(values: Tensor, families: list[RowFamily], origin: Tensor) -> dict[int, Tensor]:
    """Gram matrices of the families' rows, by the identity of the family."""
    grams = {}
    for family in families:
        rows = values[torch.from_numpy(family.rows)].to(origin.device, torch.float64) - origin
        with threads_for(2.0 * rows.shape[1] * len(rows) ** 2, origin.device):
            grams[id(family)] = rows @ rows.T
    return grams


def _block(grams: dict[int, Tensor], family: RowFamily, rows: NDArray[np.intp]) -> Tensor:
    """Cut out the part of a family's Gram matrix that belongs to some of its rows."""
    gram = grams[id(family)]
    if np.array_equal(rows, family.rows):
        return gram
    places = torch.from_numpy(np.searchsorted(family.rows, rows)).to(gram.device)
    return gram[places][:, places]


def is_small(n: int, dim: int) -> bool:
    """Whether a problem of n rows is small enough to be solved in a stack.

    Examples
    --------
    >>> is_small(160, 1280), is_small(16_000, 1280)
    (True, False)
    """
    return n * min(n, dim) <= _SMALL
