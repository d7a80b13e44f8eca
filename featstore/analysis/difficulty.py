"""Whether the classes that are hard for one run are hard for another (A.6, Fig. A5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.difficulty_correlations import difficulty_correlations
from featstore.analysis.pairing import paired
from featstore.bootstrap import unit_weights
from featstore.class_measure import ClassMeasure, class_measure
from featstore.decisions import Decisions, Outcomes
from featstore.errors import InvalidInputError
from featstore.half_splits import half_splits


@dataclass(frozen=True, eq=False)
class Difficulty:
    """How far two runs agree on which classes are hard.

    Attributes
    ----------
    metric
        Of a class: ``"accuracy"``, or ``"average_precision"``.
    correlations
        Columns quantity, value, low, high.  spearman: rank correlation of the classes' metric
        between the runs, on all rows.  reliability_a, reliability_b: of each run with itself on
        other rows.  ceiling: √(reliability_a reliability_b), what spearman could reach if both
        runs had the same difficulties and independent rows.  without_noise: the correlation between
        different halves of the rows, divided by that of each run with itself.  Intervals come
        from drawing classes.
    ends
        One row per run that chooses (a, b) and end (hardest, easiest): chosen_by, end, n_classes,
        tied (classes with the same value as the last one chosen, among which the seed decides),
        value_a, value_b (means of the chosen), other_rows_a, other_rows_b (the same where one half
        of the rows chooses and the other half is reported), shared (share of the chosen that are
        at the same end for the other run).
    followed
        Chosen classes: chosen_by, end, class, value_a, value_b.
    n_classes
        Classes with a value in both runs.
    n_common, n_only_a, n_only_b
        Test rows of both runs, and rows left out because the other run lacks them.
    """

    metric: Literal["accuracy", "average_precision"]
    correlations: pd.DataFrame
    ends: pd.DataFrame
    followed: pd.DataFrame
    n_classes: int
    n_common: int
    n_only_a: int
    n_only_b: int


def difficulty(
    a: Outcomes,
    b: Outcomes,
    *,
    share: float = 0.05,
    n_splits: int = 50,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Difficulty:
    """Follow the hardest and easiest classes of each run to the other, and correlate all.

    Parameters
    ----------
    a, b
        Runs of one target.
    share
        Of the classes, at either end (at least one class).
    n_splits
        Random halves of the rows of each class.
    n_boot, seed, level
        Percentile bootstrap over classes: resamples (0 leaves the intervals NaN), their seed, and
        that of halves and ties; coverage.

    Raises
    ------
    InvalidInputError
        If `share` is not in (0, 0.5], `n_splits` < 1, fewer than two classes have test rows, the
        runs differ in their classes or in the labels of a common row, one is multi-label and the
        other not, an id repeats within a run, or no row is common.

    References
    ----------
    Spearman (1910), Correlation calculated from faulty data, and Brown (1910), Some experimental
    results in the correlation of mental abilities, British Journal of Psychology 3: with r between
    halves, all rows have the reliability 2 r / (1 + r).
    Spearman (1904), The proof and measurement of association between two things, American Journal
    of Psychology 15: the correlation without noise.

    Examples
    --------
    >>> rows = np.arange(400)
    >>> truth, names = rows % 4, ("ant", "bee", "cat", "dog")
    >>> wrong_often = np.where(rows % 10 < 2 * truth, (truth + 1) % 4, truth)
    >>> run = Decisions(rows.astype(str), names, truth, wrong_often, np.ones(4, bool))
    >>> found = difficulty(run, run, n_boot=0)
    >>> found.correlations["value"].round(2).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    >>> found.followed[["chosen_by", "end", "class"]].values.tolist()[:2]
    [['a', 'hardest', 'dog'], ['a', 'easiest', 'ant']]
    """
    if not 0 < share <= 0.5 or n_splits < 1:
        raise InvalidInputError(
            f"either end has a share of the classes in (0, 0.5], and there is at least one split, "
            f"got share = {share} and n_splits = {n_splits}"
        )
    runs = paired(a, b)
    measures = [class_measure(run) for run in runs]
    n = len(runs[0])
    values = np.concatenate([measure.of(unit_weights(n)) for measure in measures], axis=1).T
    known = np.flatnonzero(~np.isnan(values).any(axis=0))
    if known.size < 2:
        raise InvalidInputError(
            f"{known.size} class has test rows in common; difficulty is compared between at least "
            "two"
        )
    values = values[:, known]
    halves = _halves(runs[0], measures, known, n_splits=n_splits, seed=seed)
    rng = np.random.default_rng(seed)
    chosen = _chosen(values, share, rng)
    names = np.array(runs[0].classes, object)[known]
    followed = [
        pd.DataFrame(
            {
                "chosen_by": run,
                "end": end,
                "class": names[codes],
                "value_a": values[0, codes],
                "value_b": values[1, codes],
            }
        )
        for (run, end), codes in chosen.items()
    ]
    return Difficulty(
        metric=measures[0].name,
        correlations=difficulty_correlations(values, halves, n_boot=n_boot, seed=seed, level=level),
        ends=_ends(values, halves, chosen, share, rng),
        followed=pd.concat(followed, ignore_index=True),
        n_classes=len(known),
        n_common=n,
        n_only_a=len(a) - n,
        n_only_b=len(b) - n,
    )


def _halves(
    run: Outcomes,
    measures: list[ClassMeasure],
    known: NDArray[np.intp],
    *,
    n_splits: int,
    seed: int,
) -> NDArray[np.float64]:
    """Values of both runs on both halves, shape (n_splits, run, half, m)."""
    # Labels of a multi-label run overlap; its rows are halved as a whole.
    strata = run.truth if isinstance(run, Decisions) else np.zeros(len(run), np.intp)
    halves = []
    for first in half_splits(strata, n_splits=n_splits, seed=seed):
        weights = np.stack([first, ~first], axis=1).astype(np.float32)
        halves.append(np.stack([measure.of(weights)[known].T for measure in measures]))
    return np.stack(halves)


def _chosen(
    values: NDArray[np.float64], share: float, rng: np.random.Generator
) -> dict[tuple[str, str], NDArray[np.intp]]:
    """Codes of the hardest and easiest classes of each run; ties fall at random."""
    m = values.shape[1]
    k = max(round(share * m), 1)
    chosen = {}
    for name, of_run in zip("ab", values, strict=True):
        order = np.lexsort((rng.random(m), of_run))
        chosen[name, "hardest"], chosen[name, "easiest"] = order[:k], order[::-1][:k]
    return chosen


def _ends(
    values: NDArray[np.float64],
    halves: NDArray[np.float64],
    chosen: dict[tuple[str, str], NDArray[np.intp]],
    share: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    elsewhere: dict[tuple[str, str], list[NDArray[np.float64]]] = {key: [] for key in chosen}
    for split in halves:
        whole = ~np.isnan(split).any(axis=(0, 1))
        if whole.any():
            for key, codes in _chosen(split[:, 0][:, whole], share, rng).items():
                elsewhere[key].append(split[:, 1][:, whole][:, codes].mean(axis=1))
    rows = []
    for (run, end), codes in chosen.items():
        own = values["ab".index(run)]
        other = chosen["b" if run == "a" else "a", end]
        means = elsewhere[run, end] or [np.full(2, np.nan)]
        rows.append(
            {
                "chosen_by": run,
                "end": end,
                "n_classes": len(codes),
                "tied": int((own == own[codes[-1]]).sum()),
                "value_a": values[0, codes].mean(),
                "value_b": values[1, codes].mean(),
                "other_rows_a": np.mean(means, axis=0)[0],
                "other_rows_b": np.mean(means, axis=0)[1],
                "shared": len(np.intersect1d(codes, other)) / len(codes),
            }
        )
    return pd.DataFrame(rows)
