"""The gap between two runs at every level of a taxonomy, and where it opens (Fig. 5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.level_hits import Rule, level_hits
from featstore.analysis.pairing import common_rows, paired
from featstore.bootstrap import bootstrap_sums
from featstore.decisions import Outcomes
from featstore.displayed import Displayed
from featstore.intervals import percentile
from featstore.predictions import Predictions
from featstore.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False, repr=False)
class GranularityGap(Displayed):
    """What run b gains over run a at each level.

    Attributes
    ----------
    levels
        One row per level, finest first: level, n_classes, accuracy_a, accuracy_b, gap (b - a),
        low, high (percentile bootstrap).  Both runs and all levels are evaluated on the same
        resampled rows.
    opens_at
        The coarsest level from which on, towards the finest, the interval of every gap is on one
        side of 0; None if that of the finest is not.
    coverage
        Of the intervals.
    n_common, n_only_a, n_only_b
        Test rows of both runs, and rows left out because the other run lacks them.
    """

    levels: pd.DataFrame
    opens_at: str | None
    coverage: float
    n_common: int
    n_only_a: int
    n_only_b: int

    @property
    def finding(self) -> str:
        """Say where the gap opens, and no more than that."""
        finest, coarsest = self.levels["level"].iloc[0], self.levels["level"].iloc[-1]
        rows = f"on these {self.n_common} rows"
        if self.opens_at is None:
            return f"no gap can be told from 0 at {finest} {rows}, and so none opens"
        better = "b" if self.levels["gap"].iloc[0] > 0 else "a"
        if self.opens_at == coarsest:
            return f"{better} is better at every level, up to {coarsest}, {rows}"
        place = self.levels["level"].tolist().index(self.opens_at)
        until = f"from {finest} up to {self.opens_at}" if place else f"at {finest}"
        return (
            f"{better} is better {until}; at {self.levels['level'].iloc[place + 1]} the gap "
            f"cannot be told from 0 {rows}"
        )


def granularity_gap(
    a: Outcomes,
    b: Outcomes,
    taxonomy: Taxonomy,
    *,
    rule: Rule = "argmax",
    of: str | None = None,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> GranularityGap:
    """Compare run b to run a at every level, on the test rows that both have.

    The level where the gap opens is found by going from the finest to coarser levels for as long
    as the interval excludes 0, always on the same side.  Hypotheses that are tested in an order
    fixed beforehand, up to the first that is kept, need no correction for their number: the
    chance of passing a level without a gap is at most 1 - `level` (Maurer, Hothorn & Lehmacher
    1995).

    Parameters
    ----------
    a, b
        Single-label runs of one target, e.g. on two features; a is the baseline.
    taxonomy, rule, of
        See `featstore.analysis.granularity.granularity`.
    n_boot, seed, level
        Paired percentile bootstrap over the common rows: resamples (0 leaves the intervals NaN),
        their seed, coverage.

    Raises
    ------
    InvalidInputError
        If the runs differ in their classes or in the labels of a common row, no row is common, or
        as `featstore.analysis.granularity.granularity`.
    FeatureNotFoundError
        If the taxonomy has no level `of`.

    References
    ----------
    Maurer, Hothorn & Lehmacher (1995), Multiple comparisons in drug clinical trials and
    preclinical assays: a-priori ordered hypotheses, in Biometrie in der chemisch-pharmazeutischen
    Industrie 6.

    Examples
    --------
    >>> frame = pd.DataFrame({"item": ["hat", "shirt", "pants"],
    ...                       "part": ["head", "body", "body"]})
    >>> rows, seen = np.arange(60), np.ones(3, bool)
    >>> truth, ids = rows % 3, rows.astype(str)
    >>> right, swapped = np.eye(3, dtype=np.float32)[[truth, truth ^ (truth > 0) * 3]]
    >>> names = ("hat", "shirt", "pants")
    >>> gap = granularity_gap(Predictions(ids, names, truth, swapped, seen),
    ...                       Predictions(ids, names, truth, right, seen),
    ...                       Taxonomy.from_frame(frame))
    >>> print(gap.opens_at, *gap.levels["gap"].round(3))
    item 0.667 0.0
    """
    runs: tuple[Outcomes, Outcomes]
    if rule == "sum" and isinstance(a, Predictions) and isinstance(b, Predictions):
        runs = common_rows(a, b)
    else:
        runs = paired(a, b)
    n = len(runs[0])
    found = [level_hits(run, taxonomy, rule=rule, of=of) for run in runs]
    hits = np.concatenate([of_run.hits for of_run in found])  # (2 levels, n)
    values, samples = bootstrap_sums(hits, n_boot=n_boot, seed=seed)
    accuracy_a, accuracy_b = values.reshape(2, -1) / n
    samples = samples.reshape(2, len(accuracy_a), n_boot) / n
    low, high = percentile(samples[1] - samples[0], level=level)
    passed = opening(low, high)
    names = found[0].levels
    return GranularityGap(
        levels=pd.DataFrame(
            {
                "level": names,
                "n_classes": found[0].n_classes,
                "accuracy_a": accuracy_a,
                "accuracy_b": accuracy_b,
                "gap": accuracy_b - accuracy_a,
                "low": low,
                "high": high,
            }
        ),
        opens_at=names[passed - 1] if passed else None,
        coverage=level,
        n_common=n,
        n_only_a=len(a) - n,
        n_only_b=len(b) - n,
    )


def opening(low: NDArray[np.float64], high: NDArray[np.float64]) -> int:
    """Count the first intervals that all lie on one side of 0.

    Parameters
    ----------
    low, high
        Shape (levels,), finest first; NaN excludes nothing.

    Examples
    --------
    >>> opening(np.array([0.2, 0.1, -0.1, 0.1]), np.array([0.4, 0.2, 0.1, 0.2]))
    2
    >>> opening(np.array([0.2, -0.3]), np.array([0.4, -0.1]))
    1
    """
    side = np.where(low > 0, 1, np.where(high < 0, -1, 0))
    passed = (side == side[0]) & (side != 0)
    return len(side) if passed.all() else int(np.argmin(passed))
