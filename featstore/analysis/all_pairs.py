"""All pairs of many runs on one data set: which can be told apart, and which cannot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from featstore.analysis.aligned_runs import AlignedRuns, PairedMetric, align
from featstore.analysis.letters import groups_alike, letters
from featstore.bootstrap import bootstrap
from featstore.decisions import Outcomes
from featstore.displayed import Displayed
from featstore.errors import InvalidInputError
from featstore.intervals import percentile
from featstore.significance import Adjustment, McNemarTest, adjusted, mcnemar

_EXACT_IN_FLOAT32 = 1 << 24


@dataclass(frozen=True, eq=False, repr=False)
class AllPairs(Displayed):
    """Many runs on the same rows, each compared with each.

    Attributes
    ----------
    metric
        See `featstore.analysis.AlignedRuns`.
    runs
        One row per run, the best first: run, value, low, high (percentile bootstrap interval of
        the value), rank (equal values share their mean), group (runs with a letter in common
        cannot be told apart).
    pairs
        One row per pair: a (the better one), b, difference (a - b), low, high (paired bootstrap,
        each at `level`, not adjusted for their number), only_a_right, only_b_right (NaN unless the
        metric is top1 or top5), p, p_adjusted, different (p_adjusted <= alpha).
    groups
        Names of the runs of each letter's group, a first.
    n
        Rows that were compared.
    left_out
        Rows of each run that another run lacks.
    test
        ``"McNemar, exact"``, ``"McNemar, mid-p"``, or ``"bootstrap"``: the difference over its
        bootstrap standard error, as a normal deviate.
    adjustment
        ``"holm"`` or ``"bh"``.
    alpha, level
        Of the decisions, and of the intervals.
    """

    metric: PairedMetric
    runs: pd.DataFrame
    pairs: pd.DataFrame
    groups: tuple[tuple[str, ...], ...]
    n: int
    left_out: Mapping[str, int]
    test: str
    adjustment: Adjustment
    alpha: float
    level: float

    @property
    def rule(self) -> str:
        """How pairs are told apart, in words."""
        control = (
            "Holm: no false difference at all"
            if self.adjustment == "holm"
            else "Benjamini-Hochberg: few false differences among those found"
        )
        return (
            f"different: p <= {self.alpha:g} after adjustment for {len(self.pairs)} pairs "
            f"({control}); p: {self.test}, on {self.n} rows"
        )


def all_pairs(
    runs: AlignedRuns | Mapping[str, Outcomes] | Iterable[tuple[str, Outcomes]],
    *,
    metric: PairedMetric | None = None,
    common: bool = False,
    test: McNemarTest = "exact",
    adjustment: Adjustment = "holm",
    alpha: float = 0.05,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> AllPairs:
    """Compare every two of many runs on the same test rows.

    All runs are evaluated on one set of bootstrap resamples, and rows that exactly one of two runs
    has right are counted by one product of matrices.

    Parameters
    ----------
    runs
        Predictions, or decisions, by name, pairs of both, or what `align` made of them.
    metric, common
        See `align`.
    test
        Variant of McNemar's test, for top1 and top5; the other metrics are tested by bootstrap.
    adjustment
        ``"holm"``: no false difference at all, but with probability `alpha`.  ``"bh"``: of the
        differences found a share of `alpha` is expected to be false.
    alpha
        Error rate of the decisions.
    n_boot, seed, level
        Of the paired percentile bootstrap.

    Raises
    ------
    InvalidInputError
        As `align`; if there are fewer than two runs, `alpha` is not in (0, 1), or the metric
        needs a bootstrap and `n_boot` is below 2.

    References
    ----------
    Fagerland et al. (2013) for McNemar's test; Holm (1979); Benjamini & Hochberg (1995), whose
    control under the positive dependence of pairs is Benjamini & Yekutieli's (2001).

    Examples
    --------
    >>> from featstore.predictions import Predictions
    >>> rng, n = np.random.default_rng(0), 400
    >>> truth = rng.integers(2, size=n)
    >>> def right(share):
    ...     called = np.where(rng.random(n) < share, truth, 1 - truth)
    ...     return Predictions(np.arange(n).astype(str), ("cat", "dog"), truth,
    ...                        np.eye(2, dtype=np.float32)[called], np.array([True, True]))
    >>> found = all_pairs({"a": right(0.9), "b": right(0.6), "c": right(0.89)}, n_boot=200)
    >>> found.groups
    (('a', 'c'), ('b',))
    """
    if not isinstance(runs, AlignedRuns):
        runs = align(runs, metric=metric, common=common)
    n_runs = len(runs.names)
    if n_runs < 2:
        raise InvalidInputError(f"a comparison needs at least two runs, got {n_runs}")
    if not 0 < alpha < 1:
        raise InvalidInputError(f"alpha is an error rate in (0, 1), e.g. 0.05; got {alpha:g}")
    by_counts = runs.metric in ("top1", "top5")
    if not by_counts and n_boot < 2:
        raise InvalidInputError(f"{runs.metric} is tested by bootstrap: n_boot must be at least 2")
    observed, samples = bootstrap(runs.statistic(), len(runs), n_boot=n_boot, seed=seed)
    # What cannot be measured comes last; equal values stay in the order given.
    order = np.argsort(-np.nan_to_num(observed, nan=-np.inf), kind="stable")
    names = [runs.names[i] for i in order]
    observed, samples = observed[order], samples[order]
    first, second = np.array(list(combinations(range(n_runs), 2))).T
    difference = observed[first] - observed[second]
    changes = samples[first] - samples[second]  # (pairs, n_boot)
    low, high = percentile(changes, level=level)
    if by_counts and runs.hits is not None:
        only = _only_one_right(runs.hits[:, order])
        only_a, only_b = only[first, second], only[second, first]
        p = mcnemar(only_a, only_b, test=test)
    else:
        only_a = only_b = np.full(len(first), np.nan)
        p = _normal_p(difference, changes)
    q = adjusted(p, adjustment)
    apart = np.zeros((n_runs, n_runs), bool)
    apart[first, second] = apart[second, first] = q <= alpha
    groups = groups_alike(apart)
    value_low, value_high = percentile(samples, level=level)
    return AllPairs(
        metric=runs.metric,
        runs=pd.DataFrame(
            {
                "run": names,
                "value": observed,
                "low": value_low,
                "high": value_high,
                "rank": pd.Series(-observed).rank().to_numpy(),
                "group": letters(groups, n_runs),
            }
        ),
        pairs=pd.DataFrame(
            {
                "a": [names[i] for i in first],
                "b": [names[i] for i in second],
                "difference": difference,
                "low": low,
                "high": high,
                "only_a_right": only_a,
                "only_b_right": only_b,
                "p": p,
                "p_adjusted": q,
                "different": q <= alpha,
            }
        ),
        groups=tuple(tuple(names[i] for i in group) for group in groups),
        n=len(runs),
        left_out=runs.left_out,
        test=f"McNemar, {test}" if by_counts else "bootstrap",
        adjustment=adjustment,
        alpha=alpha,
        level=level,
    )


def _only_one_right(hits: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rows that run i has right and run j wrong, shape (r, r)."""
    exact = np.float32 if len(hits) < _EXACT_IN_FLOAT32 else np.float64
    right: NDArray[np.floating] = hits.astype(exact)
    return (right.T @ (1 - right)).astype(np.int64)


def _normal_p(difference: NDArray[np.float64], changes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two-sided p of differences over their bootstrap standard errors.

    A share of resamples beyond 0 could not fall below 1 / n_boot, which is more than what many
    pairs have to reach after adjustment.
    """
    counted = (~np.isnan(changes)).sum(axis=1)
    mean = np.divide(np.nansum(changes, axis=1), counted, where=counted > 0, out=0 * difference)
    squares = np.nansum((changes - mean[:, None]) ** 2, axis=1)
    error = np.sqrt(squares / np.maximum(counted - 1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        deviate = np.where(difference == 0, 0.0, np.abs(difference) / error)
    p: NDArray[np.float64] = np.where(np.isnan(difference), np.nan, 2 * ndtr(-deviate))
    return p
