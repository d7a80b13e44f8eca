"""Two runs on the same test rows: whether one is better, and for which classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.pairing import paired
from featstore.analysis.tallies import Tallies
from featstore.bootstrap import bootstrap, bootstrap_sums
from featstore.class_measure import class_measure
from featstore.decisions import Decisions, Outcomes
from featstore.displayed import Displayed
from featstore.intervals import percentile
from featstore.significance import benjamini_hochberg, mcnemar
from featstore.weighted import mean_defined


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Displayed):
    """What changes when run b replaces run a.

    Attributes
    ----------
    metric
        ``"top1"``, or ``"mAP"`` for multi-label runs.
    value_a, value_b, difference
        The metric of both runs on their common test rows, and b - a.
    low, high, level
        Percentile bootstrap interval of the difference, paired: both runs are evaluated on
        the same resampled rows; and its coverage.
    only_a_right, only_b_right, p_exact, p_mid
        Rows that exactly one run has right, and McNemar's test on them; None if multi-label.
    n_common, n_only_a, n_only_b
        Test rows of both runs, and rows left out because the other run lacks them.
    classes
        One row per class, in the order of the class codes; gain is b - a.  Single-label:
        class, n, accuracy_a, accuracy_b, gain, p (exact McNemar), q (Benjamini-Hochberg over
        the classes with rows).  Multi-label: class, n (positives), average_precision_a,
        average_precision_b, gain, low, high (bootstrap, not adjusted for many classes).
    """

    metric: Literal["top1", "mAP"]
    value_a: float
    value_b: float
    difference: float
    low: float
    high: float
    level: float
    only_a_right: int | None
    only_b_right: int | None
    p_exact: float | None
    p_mid: float | None
    n_common: int
    n_only_a: int
    n_only_b: int
    classes: pd.DataFrame

    def most_improved(self, k: int = 10) -> pd.DataFrame:
        """Return the k classes that gain most, the largest gain first (Table A1)."""
        return self.classes.dropna(subset="gain").nlargest(k, "gain")

    def most_harmed(self, k: int = 10) -> pd.DataFrame:
        """Return the k classes that gain least, the largest loss first (Table A1)."""
        return self.classes.dropna(subset="gain").nsmallest(k, "gain")

    @property
    def share_improved(self) -> float:
        """Share of the classes with test rows that gain (Fig. A4)."""
        return self._share(1)

    @property
    def share_unchanged(self) -> float:
        """Share of the classes with test rows that neither gain nor lose."""
        return self._share(0)

    @property
    def share_harmed(self) -> float:
        """Share of the classes with test rows that lose."""
        return self._share(-1)

    def _share(self, sign: int) -> float:
        return float((np.sign(self.classes["gain"].dropna()) == sign).mean())


def compare(
    a: Outcomes, b: Outcomes, *, n_boot: int = 1000, seed: int = 0, level: float = 0.95
) -> Comparison:
    """Compare run b to run a on the test rows that both have.

    Parameters
    ----------
    a, b
        Runs of one target, e.g. on two features; a is the baseline.  Single-label ones may come
        without scores, as `featstore.decisions.Decisions`.
    n_boot, seed, level
        Paired percentile bootstrap over the common rows: resamples (0 leaves the interval
        NaN), their seed, coverage.

    Returns
    -------
    comparison
        Overall and per class.

    Raises
    ------
    InvalidInputError
        If the runs differ in their classes or in the labels of a common row, one is multi-label
        and the other not, an id repeats within a run, or no row is common.

    Examples
    --------
    >>> from featstore.predictions import Predictions
    >>> ids, truth = np.array(["a", "b", "c"]), np.array([0, 1, 1])
    >>> all_cat = Predictions(ids, ("cat", "dog"), truth, np.eye(2, dtype=np.float32)[[0, 0, 0]],
    ...                       np.array([True, True]))
    >>> right = Predictions(ids, ("cat", "dog"), truth, np.eye(2, dtype=np.float32)[truth],
    ...                     np.array([True, True]))
    >>> comparison = compare(all_cat, right)
    >>> print(round(comparison.difference, 3), comparison.p_exact, comparison.share_improved)
    0.667 0.5 0.5
    """
    first, second = paired(a, b)
    n = len(first)
    only: tuple[int, int] | None = None
    if isinstance(first, Decisions) and isinstance(second, Decisions):
        rights = np.stack([first.right, second.right])
        observed, samples = (
            sums / n for sums in bootstrap_sums(rights, n_boot=n_boot, seed=seed)
        )  # (2,), (2, n_boot)
        value_a, value_b = observed
        change = samples[1] - samples[0]
        tallies = Tallies.of(first, second)
        only = int(tallies.only_a.sum()), int(tallies.only_b.sum())
        classes = _gain_in_accuracy(first.classes, tallies)
    else:
        observed, samples = _precisions(first, second, n_boot=n_boot, seed=seed)
        value_a, value_b = mean_defined(observed.T)
        change = mean_defined(samples[1]) - mean_defined(samples[0])  # (n_boot,)
        classes = _gain_in_precision(first, observed, samples, level=level)
    low, high = percentile(change[None], level=level)
    return Comparison(
        metric="top1" if only else "mAP",
        value_a=float(value_a),
        value_b=float(value_b),
        difference=float(value_b - value_a),
        low=float(low[0]),
        high=float(high[0]),
        level=level,
        only_a_right=None if only is None else only[0],
        only_b_right=None if only is None else only[1],
        p_exact=None if only is None else float(mcnemar(*only)),
        p_mid=None if only is None else float(mcnemar(*only, test="mid-p")),
        n_common=n,
        n_only_a=len(a) - n,
        n_only_b=len(b) - n,
        classes=classes,
    )


def _gain_in_accuracy(names: tuple[str, ...], tallies: Tallies) -> pd.DataFrame:
    accuracy_a, accuracy_b = tallies.accuracies
    p = np.where(tallies.n > 0, mcnemar(tallies.only_a, tallies.only_b), np.nan)
    return pd.DataFrame(
        {
            "class": names,
            "n": tallies.n,
            "accuracy_a": accuracy_a,
            "accuracy_b": accuracy_b,
            "gain": tallies.gain,
            "p": p,
            "q": benjamini_hochberg(p),
        }
    )


def _precisions(
    a: Outcomes, b: Outcomes, *, n_boot: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average precisions of both runs, shape (2, c), and in resamples, (2, c, n_boot)."""
    measures = [class_measure(run).of for run in (a, b)]
    observed, samples = bootstrap(
        lambda weights: np.concatenate([measure(weights) for measure in measures]),
        len(a),
        n_boot=n_boot,
        seed=seed,
    )
    return observed.reshape(2, -1), samples.reshape(2, len(observed) // 2, n_boot)


def _gain_in_precision(
    run: Outcomes,
    observed: NDArray[np.float64],
    samples: NDArray[np.float64],
    *,
    level: float,
) -> pd.DataFrame:
    low, high = percentile(samples[1] - samples[0], level=level)
    return pd.DataFrame(
        {
            "class": run.classes,
            "n": run.truth.sum(axis=0),
            "average_precision_a": observed[0],
            "average_precision_b": observed[1],
            "gain": observed[1] - observed[0],
            "low": low,
            "high": high,
        }
    )
