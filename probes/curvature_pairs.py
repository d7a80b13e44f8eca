"""CurvaturePairs: what steps have taught about the Hessian, as L-BFGS remembers it."""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

import torch
from torch import Tensor

from featstore.probes.objective import dot

_MOST = 50  # pairs
_FEWEST = 10
_SHARE = 2  # pairs hold at most this many times the numbers of the design matrix


class InverseHessian(Protocol):
    """What L-BFGS starts from."""

    def apply(self, gradient: Tensor) -> Tensor:
        """Return the inverse Hessian times `gradient`, (k, r + 1); a new tensor."""
        ...


class CurvaturePairs:
    """The last steps and gradient changes: a quasi-Newton inverse Hessian around a metric.

    Kept in the eigenbasis of the metric, where applying it costs next to nothing.

    Parameters
    ----------
    memory
        Pairs to keep.

    Examples
    --------
    >>> pairs = CurvaturePairs(memory=2)
    >>> step = torch.tensor([[1.0, 0.0]])
    >>> pairs.append(step, 4 * step)
    >>> len(pairs)
    1
    """

    def __init__(self, memory: int = _MOST) -> None:
        self._pairs: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=memory)

    @classmethod
    def sized_for(cls, n_samples: int, n_columns: int) -> CurvaturePairs:
        """Return an empty memory that is small next to the n rows of k columns' features.

        A pair has 2 k (r + 1) numbers and the design n r.
        """
        return cls(cls.ample(n_samples, n_columns))

    @staticmethod
    def ample(n_samples: int, n_columns: int) -> int:
        """Pairs that are small next to the features."""
        return min(_MOST, max(_FEWEST, _SHARE * n_samples // (2 * n_columns)))

    def __len__(self) -> int:
        return len(self._pairs)

    def clear(self) -> None:
        """Forget all pairs."""
        self._pairs.clear()

    def append(self, s: Tensor, y: Tensor) -> None:
        """Add a step and the change of the gradient over it, unless rounding ate its curvature."""
        curvature = dot(s, y)
        if curvature > 1e-12 * math.sqrt(dot(s, s) * dot(y, y)):
            self._pairs.append((s, y, curvature))

    def at_ridge(self, change: float, *, dtype: torch.dtype) -> CurvaturePairs:
        """Return the pairs of an objective whose ridge is larger by `change`.

        Exact as far as the penalty goes, whose Hessian is known; of the loss they say what they
        said: how it curved around the steps.
        """
        moved = CurvaturePairs(self._pairs.maxlen or _MOST)
        for s, y, _ in self._pairs:
            s, y = s.to(dtype), y.to(dtype, copy=True)
            y[:, :-1].add_(s[:, :-1], alpha=change)
            moved.append(s, y)
        return moved

    def direction(self, gradient: Tensor, metric: InverseHessian) -> Tensor:
        """Descent direction, by the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4)."""
        q = gradient.clone()
        alphas = []
        for s, y, curvature in reversed(self._pairs):
            alphas.append(dot(s, q) / curvature)
            q.add_(y, alpha=-alphas[-1])
        r = metric.apply(q)
        if self._pairs:
            _, y, curvature = self._pairs[-1]
            r *= curvature / dot(y, metric.apply(y))
        for (s, y, curvature), alpha in zip(self._pairs, reversed(alphas), strict=True):
            r.add_(s, alpha=alpha - dot(y, r) / curvature)
        return r.neg_()
