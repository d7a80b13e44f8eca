"""FusionTable: what pairs of features gain over their better member, and what that means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from featstore.displayed import Displayed

Verdict = Literal["complementary", "redundant", "undecided"]


@dataclass(frozen=True, eq=False, repr=False)
class FusionTable(Displayed):
    """Pairs of features, evaluated alone and side by side (Table 3 of Cole et al. 2022).

    Attributes
    ----------
    metric
        ``"top1"``, or ``"mAP"`` for a multi-label target.
    pairs
        One row for each pair: a, b, dim_a, dim_b, dim (of both together), score_a, score_b, score,
        best (the member with the higher score on the reported rows), gain (score less that of
        `best`), low, high (paired bootstrap interval of the gain), verdict, run_a, run_b, run
        (names of the runs); of a, b and the pair also score_a_low, score_a_high, … (bootstrap
        intervals of the scores) and value_a, value_b, value (of the hyper-parameter).
    controls
        Two rows for each pair; empty if they were left out: a, b, control, dim, score, gain, low,
        high (over the best member), over, over_low, over_high (score of the pair less that of the
        control, paired as well).  Control ``"projection"``: the best member beside a random
        projection of itself, as wide as the pair.  ``"pca"``: principal components of the pair, as
        many as the best member has columns.
    margin
        Gain that counts as none.
    level
        Coverage of the intervals.
    protocol, parameter, scaling
        Probe of all runs and how its hyper-parameter was chosen, in words; the latter's name; how
        blocks were scaled.
    """

    metric: Literal["top1", "mAP"]
    pairs: pd.DataFrame
    controls: pd.DataFrame
    margin: float
    level: float
    protocol: str = ""
    parameter: str = ""
    scaling: str = ""

    @property
    def rule(self) -> str:
        """How verdicts are reached, in words."""
        points = 100 * self.margin
        margin = f"{points:g} point{'' if math.isclose(points, 1) else 's'}"
        control = (
            ", and that of the gain over the projection control above 0 points"
            if len(self.controls)
            else ""
        )
        return (
            f"complementary: the {self.level:.0%} interval of the gain over the best member lies "
            f"above {margin}{control}; redundant: it lies below {margin}; undecided: anything else"
        )


def verdict(low: float, high: float, *, margin: float = 0.0, over_low: float = math.inf) -> Verdict:
    """Return what an interval of the gain of a pair over its best member supports.

    Parameters
    ----------
    low, high
        The interval.
    margin
        Gain that counts as none: with 0, redundant means that the second feature does harm.
    over_low
        Lower end of the interval of the pair's gain over the projection control: where it is not
        above 0, width alone may explain a gain.

    Examples
    --------
    >>> verdict(0.01, 0.03), verdict(-0.01, 0.03), verdict(-0.03, -0.01)
    ('complementary', 'undecided', 'redundant')
    >>> verdict(-0.002, 0.004, margin=0.005), verdict(0.01, 0.03, over_low=-0.01)
    ('redundant', 'undecided')
    """
    if low > margin and over_low > 0:
        return "complementary"
    return "redundant" if high < margin else "undecided"
