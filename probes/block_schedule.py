"""BlockSchedule: when the blocks of a metric are worth their price, in passes over the features."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from featstore.probes.block_metric import BlockMetric, CurvedRows
from featstore.probes.objective import Objective
from featstore.probes.preconditioner import KroneckerMetric

_FIRST = 20  # iterations; before, the pace says little
_APART = 20  # iterations at least, from one set of blocks to the next
_SAVED_AT_FIRST = (
    0.4  # of the iterations that are left; measured: half, which cost a fifth more each
)
_SAVED_AGAIN = 0.25  # by newer blocks
_TINY = 1e-300


class BlockSchedule:
    """Decides from counts of operations, never from a clock: fits stay reproducible.

    Parameters
    ----------
    objective
        What is minimised.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        n, (k, r) = objective.loss.n_samples, (objective.loss.n_columns, objective.design.shape[1])
        # Narrow products take longer than their operations say, next to square ones.
        self._pass = 4.0 * n * k * r * min(1 + 20 / k, 8)
        self._inverting = float(k * r**3)
        # Applying blocks that are larger than the features would cost more than a pass.  Rounded
        # steps are as quick without, and lead less far with them.
        self._possible = k * r <= n and not objective.rounded
        self._built, self._next = 0, _FIRST

    def renewed(
        self,
        metric: KroneckerMetric,
        trail: list[tuple[float, float]],
        shortfall: float,
        U: Tensor,
        *,
        scratch: Tensor,
    ) -> BlockMetric | None:
        """Return blocks for where the solver is, if they will pay; else None.

        Parameters
        ----------
        metric
            For what blocks do not say.
        trail
            As for `featstore.probes.lbfgs.decrement_safety`, of all iterates.
        shortfall
            Estimated gap over the tolerated one.
        U, scratch
            Margins, and a buffer of that kind.
        """
        n_iter = len(trail) - 1
        if not self._possible or n_iter < self._next:
            return None
        self._next = n_iter + max(5, n_iter // 8)
        left = iterations_left([decrement for _, decrement in trail[self._built :]], shortfall)
        saved = left * (_SAVED_AGAIN if self._built else _SAVED_AT_FIRST) * self._pass
        if saved <= self._inverting:
            return None
        curvature = self._objective.column_curvature(U, out=scratch)
        columns = [CurvedRows.of(column) for column in curvature.T]
        r = self._objective.design.shape[1]
        if saved <= self._inverting + 2.0 * r * r * sum(len(rows.index) for rows in columns):
            return None
        self._built = n_iter
        self._next = n_iter + max(_APART, n_iter // 2)
        return BlockMetric.of(self._objective, metric, columns)


def iterations_left(decrements: list[float], shortfall: float) -> float:
    """Foretell the iterations until the gap is tolerated, from the latter three quarters of a way.

    Parameters
    ----------
    decrements
        Of the iterates, at least 4.
    shortfall
        Estimated gap over the tolerated one.

    Examples
    --------
    >>> round(iterations_left([2.0**-i for i in range(16)], 32.0), 6)
    5.0
    """
    m = len(decrements)
    logs = np.log(np.maximum(decrements, _TINY))
    early, late = logs[m // 4 : m // 2], logs[m // 2 :]
    apart = (m // 2 + m - 1) / 2 - (m // 4 + m // 2 - 1) / 2
    pace = float(early.mean() - late.mean()) / apart
    return math.log(max(shortfall, 1.0)) / pace if pace > 0 else math.inf
