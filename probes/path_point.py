"""PathPoint: what the minimum at one penalty tells about the next."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from featstore.probes.curvature_pairs import CurvaturePairs


@dataclass(frozen=True, eq=False)
class PathPoint:
    """A minimum on a path of penalties, and how the path ran there.

    Minima move smoothly in log C: towards interpolation the weights of a separable problem grow
    in proportion to it (Rosset, Zhu & Hastie 2004).

    Attributes
    ----------
    ridge
        λ = 1 / (C n) at this point.
    theta
        Minimum, shape (k, r + 1), in the coordinates of the Gram basis.
    pairs
        What the solver learnt about the Hessian there.
    slope
        d theta / d log C from the point before, shape (k, r + 1); None at the first point.

    Examples
    --------
    >>> import torch
    >>> first = PathPoint(1.0, torch.tensor([[1.0, 0.0]]), CurvaturePairs())
    >>> second = PathPoint(0.5, torch.tensor([[3.0, 0.0]]), CurvaturePairs()).after(first)
    >>> second.tangent(0.25)
    tensor([[2., 0.]], dtype=torch.float64)
    """

    ridge: float
    theta: Tensor
    pairs: CurvaturePairs
    slope: Tensor | None = None

    def after(self, previous: PathPoint | None) -> PathPoint:
        """Return this point with its slope, given the point before it."""
        if previous is None or previous.ridge == self.ridge:
            return self
        distance = math.log(previous.ridge / self.ridge)
        moved = self.theta.double() - previous.theta.double()
        return PathPoint(self.ridge, self.theta, self.pairs, moved / distance)

    def tangent(self, ridge: float) -> Tensor | None:
        """Step to the minimum at another ridge, as far as a straight line in log C foretells."""
        return None if self.slope is None else self.slope * math.log(self.ridge / ridge)
