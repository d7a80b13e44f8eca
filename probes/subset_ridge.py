"""Ridge regression to ±1 on many subsets at once, in the dual form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.errors import InvalidInputError
from featstore.probes.device import DeviceName, device_of, threads_for
from featstore.probes.inputs import as_tensor
from featstore.probes.standardisation import column_scale
from featstore.probes.subset_heads import SubsetHeads
from featstore.probes.subset_stacks import shared_origin, subset_stacks


def ridge_subsets(
    X: NDArray[np.floating],
    y: NDArray[Any],
    subsets: Sequence[NDArray[np.intp]],
    alphas: Sequence[float],
    *,
    standardise: bool = False,
    std_offset: float = 0.0,
    bias: float | None = None,
    device: DeviceName = "cpu",
) -> Iterator[SubsetHeads]:
    """Solve for every subset and every α from one decomposition each.

    With centred (and scaled) rows Z of a subset and centred targets Y, W = ((ZZᵀ + αI)⁻¹ Y)ᵀ Z; see
    `featstore.probes.ridge_path` for the intercept.

    Parameters
    ----------
    X, y
        Features (n, d), finite, and class labels (n,).
    subsets
        Rows of each problem; those with more rows than d cost more than they should.
    alphas
        Penalties >= 0, 0 for the shortest least-squares solution.
    standardise, std_offset, bias, device
        As for `RidgeProbe`.

    Yields
    ------
    heads
        Of subsets with equally many rows and classes, for one α; scores as of `RidgeProbe`, for
        two classes those and their negatives.

    Raises
    ------
    InvalidInputError
        If a subset has one class only, or an α is negative.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> draws = [np.arange(start, start + 50) for start in range(0, 1000, 50)]
    >>> [heads.value for heads in ridge_subsets(X, y, draws, [1.0, 100.0])]
    [1.0, 100.0]
    """
    for alpha in alphas:
        if not 0 <= alpha < np.inf:
            raise InvalidInputError(f"alpha must be finite and not negative, got {alpha}")
    where = device_of(device)
    values = as_tensor(X)
    origin = shared_origin(values, subsets).to(where)
    for stack in subset_stacks(y, subsets, dim=X.shape[1]):
        rows = values[torch.from_numpy(stack.rows)].to(where, torch.float64) - origin
        s, n, d = rows.shape
        mean = rows.mean(dim=1)
        rows -= mean[:, None, :]
        scale = None
        if standardise:
            scale = column_scale(mean + origin, rows.square().mean(dim=1), std_offset)
            rows *= scale[:, None, :]
        targets = 2 * torch.nn.functional.one_hot(torch.from_numpy(stack.codes)).double() - 1
        targets = targets.to(where)
        means = targets.mean(dim=1)  # (s, k)
        with threads_for(2.0 * s * n * n * d, where):
            eigenvalues, Q = torch.linalg.eigh(rows @ rows.mT)
        kept = eigenvalues > d * torch.finfo(torch.float64).eps * eigenvalues.amax(
            dim=1, keepdim=True
        )
        projected = Q.mT @ (targets - means[:, None, :])
        for alpha in alphas:
            inverse = torch.where(kept, 1 / (eigenvalues + alpha), 0.0)
            dual = Q @ (inverse[:, :, None] * projected)  # (s, n, k)
            weights = dual.mT @ rows
            if scale is not None:
                weights *= scale[:, None, :]
            shrunk = means * (1 - _bias_shrinkage(bias, alpha, n))
            yield SubsetHeads(
                stack.subsets,
                float(alpha),
                stack.classes,
                weights,
                shrunk - _each(weights, mean),
                origin,
                None,
                np.ones(s, bool),
            )


def _bias_shrinkage(bias: float | None, alpha: float, n: int) -> float:
    """Share of the targets' means that the penalty of a bias column takes."""
    return 0.0 if bias is None else alpha / (n * bias**2 + alpha)


def _each(weights: Tensor, rows: Tensor) -> Tensor:
    """Products (s, k) of weights (s, k, d) with a row (s, d) each."""
    return (weights @ rows[:, :, None])[:, :, 0]
