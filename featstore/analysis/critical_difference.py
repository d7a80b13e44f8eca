"""Critical differences: which methods can be told apart over several data sets."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from featstore.analysis.friedman import friedman
from featstore.analysis.letters import groups_alike, letters
from featstore.analysis.signed_rank import signed_rank_p
from featstore.displayed import Displayed
from featstore.errors import InvalidInputError
from featstore.significance import Adjustment, adjusted

PostHoc = Literal["wilcoxon", "nemenyi"]


@dataclass(frozen=True, eq=False, repr=False)
class CriticalDifference(Displayed):
    """Several methods on several data sets.

    Attributes
    ----------
    ranks
        One row per method, the best first: method, mean_rank, group (methods with a letter in
        common cannot be told apart).
    pairs
        One row per pair, the better mean rank first: a, b, rank_difference (b - a), p,
        p_adjusted, different.
    groups
        Names of the methods of each letter's group, a first.
    post_hoc
        ``"wilcoxon"``: signed-rank tests of each two methods alone, adjusted for their number.
        ``"nemenyi"``: differences of mean ranks, which depend on the other methods as well.
    critical_difference
        Of Nemenyi's test: mean ranks that differ by as much are different; NaN for the other.
    friedman_p
        Iman and Davenport's p that all methods do equally well.
    least_p
        The smallest adjusted p that any pair can reach with so few data sets: where it is above
        `alpha`, nothing can be found.
    datasets
        Names of the data sets that were ranked on.
    left_out
        Data sets left out because a method has no value there.
    alpha
        Error rate of the decisions.
    """

    ranks: pd.DataFrame
    pairs: pd.DataFrame
    groups: tuple[tuple[str, ...], ...]
    post_hoc: PostHoc
    critical_difference: float
    friedman_p: float
    least_p: float
    datasets: tuple[str, ...]
    left_out: tuple[str, ...]
    alpha: float

    @property
    def finding(self) -> str:
        """What was found, in words."""
        n = len(self.datasets)
        if self.least_p > self.alpha:
            return (
                f"no pair of {len(self.ranks)} methods can be told apart on {n} data sets: the "
                f"smallest adjusted p there is {self.least_p:.3g}"
            )
        found = int(self.pairs["different"].sum())
        return (
            f"{found} of {len(self.pairs)} pairs are different at {self.alpha:g} over {n} data "
            f"sets; all methods equal: p = {self.friedman_p:.3g}"
        )


def critical_difference(
    values: pd.DataFrame,
    *,
    post_hoc: PostHoc = "wilcoxon",
    adjustment: Adjustment = "holm",
    alpha: float = 0.05,
    complete: bool = False,
) -> CriticalDifference:
    """Rank methods on each data set, and test which can be told apart.

    Parameters
    ----------
    values
        One row per method, one column per data set; more is better.
    post_hoc
        ``"wilcoxon"``, which Benavoli et al. (2016) recommend because the verdict on two methods
        does not depend on which others were compared; zero differences are split (Demšar 2006).
        ``"nemenyi"``, Demšar's test of mean ranks.
    adjustment
        Of the Wilcoxon tests; Nemenyi's needs none.
    alpha
        Error rate.
    complete
        Whether data sets on which a method has no value are left out; an error otherwise.

    Raises
    ------
    InvalidInputError
        If there are fewer than two methods or (complete) data sets, names repeat, a value is
        missing, or `alpha` is not in (0, 1).

    References
    ----------
    Demšar (2006), Statistical comparisons of classifiers over multiple data sets, JMLR 7; Benavoli,
    Corani & Mangili (2016), Should we really use post-hoc tests based on mean-ranks?, JMLR 17.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame(
    ...     {f"d{i}": np.array([0.9, 0.7, 0.7]) + rng.normal(0, 0.01, 3) for i in range(12)},
    ...     index=["dinov2", "resnet50", "random"])
    >>> critical_difference(table).groups
    (('dinov2',), ('random', 'resnet50'))
    """
    if not 0 < alpha < 1:
        raise InvalidInputError(f"alpha is an error rate in (0, 1), e.g. 0.05; got {alpha:g}")
    if post_hoc not in ("wilcoxon", "nemenyi"):
        raise InvalidInputError(f"post_hoc is 'wilcoxon' or 'nemenyi', got {post_hoc!r}")
    if not (values.index.is_unique and values.columns.is_unique):
        raise InvalidInputError("each method and each data set needs a name of its own")
    gaps = values.isna()
    left_out = [str(name) for name in values.columns[gaps.any(axis=0)]]
    if left_out and not complete:
        method, dataset = next(
            (row, column) for row in gaps.index for column in gaps.columns if gaps.loc[row, column]
        )
        raise InvalidInputError(
            f"{int(gaps.to_numpy().sum())} values are missing, e.g. that of {method} on {dataset}; "
            "fill them, or leave such data sets out with complete=True"
        )
    table = values.loc[:, ~gaps.any(axis=0)]
    X = table.to_numpy(np.float64).T  # (N, k)
    overall = friedman(X)
    order = np.argsort(overall.mean_ranks, kind="stable")
    X, ranks = X[:, order], np.asarray(overall.mean_ranks)[order]
    names = [str(table.index[i]) for i in order]
    n, k = X.shape
    first, second = np.array(list(combinations(range(k), 2))).T
    away = ranks[second] - ranks[first]
    error = np.sqrt(k * (k + 1) / (6 * n))
    distance = np.nan
    if post_hoc == "nemenyi":
        # Differences of mean ranks are those of normal variables; the range of k of them has
        # Student's distribution with infinitely many degrees of freedom.
        distance = float(stats.studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2) * error)
        p = q = _range_p(away / error, k)
        least = float(_range_p(np.array([(k - 1) / error]), k)[0])
    else:
        p = np.array([signed_rank_p(X[:, i] - X[:, j]) for i, j in zip(first, second, strict=True)])
        q = adjusted(p, adjustment)
        # All N differences of one sign; in the best case for every pair at once under BH.
        least = min(2.0 ** (1 - n) * (len(p) if adjustment == "holm" else 1), 1.0)
    different = q <= alpha
    apart = np.zeros((k, k), bool)
    apart[first, second] = apart[second, first] = different
    groups = groups_alike(apart)
    return CriticalDifference(
        ranks=pd.DataFrame({"method": names, "mean_rank": ranks, "group": letters(groups, k)}),
        pairs=pd.DataFrame(
            {
                "a": [names[i] for i in first],
                "b": [names[i] for i in second],
                "rank_difference": away,
                "p": p,
                "p_adjusted": q,
                "different": different,
            }
        ),
        groups=tuple(tuple(names[i] for i in group) for group in groups),
        post_hoc=post_hoc,
        critical_difference=distance,
        friedman_p=overall.p_f,
        least_p=least,
        datasets=tuple(str(name) for name in table.columns),
        left_out=tuple(left_out),
        alpha=alpha,
    )


def _range_p(deviates: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    p: NDArray[np.float64] = stats.studentized_range.sf(deviates * np.sqrt(2), k, np.inf)
    return np.clip(p, 0, 1)
