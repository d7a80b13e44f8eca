"""Which groups of classes gain, e.g. animals and plants (A.3)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.class_averages import check_groups
from featstore.analysis.pairing import paired
from featstore.analysis.tallies import Tallies
from featstore.bootstrap import bootstrap, unit_weights
from featstore.class_bootstrap import class_draws_of_means, row_draws_of_means
from featstore.class_groups import ClassGroups
from featstore.class_measure import class_measure
from featstore.decisions import Decisions, Outcomes
from featstore.intervals import percentile
from featstore.significance import holm

_ROUNDING = 1e-9


def group_gains(
    a: Outcomes,
    b: Outcomes,
    groups: ClassGroups,
    *,
    n_boot: int = 1000,
    n_swaps: int = 9999,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Average what the classes of each group gain when run b replaces run a.

    Parameters
    ----------
    a, b
        Runs of one target; a is the baseline.
    groups
        Of the classes of the target.
    n_boot, seed, level
        Percentile bootstrap, paired: resamples (0 leaves the intervals NaN), their seed, coverage.
    n_swaps
        Swaps of the outcomes of the pair for p (0 leaves it NaN).

    Returns
    -------
    gains
        One row per group: group, n_classes (with test rows), n (test rows, or positives), value_a,
        value_b (means over the classes), gain, low, high (test rows drawn), low_classes,
        high_classes (classes drawn whole, see `featstore.analysis.class_averages`), p, p_holm,
        improved, unchanged, harmed (numbers of classes), share_of_improved (of all classes that
        improve, how many are in this group) and share_of_classes (of all classes with test rows).

        p is the share of swaps, on which run had which outcome at each row, with as large a mean
        gain in either direction; p_holm is adjusted for the number of groups, so that the chance
        of finding any group that does not differ is at most alpha.  Multi-label runs have
        intervals only.

    Raises
    ------
    InvalidInputError
        If the groups are those of other classes, the runs differ in their classes or in the labels
        of a common row, one is multi-label and the other not, an id repeats within a run, or no
        row is common.

    References
    ----------
    Phipson & Smyth (2010), Permutation p-values should never be zero, Statistical Applications in
    Genetics and Molecular Biology 9.

    Examples
    --------
    >>> rows = np.arange(40)
    >>> a, b = (Decisions(rows.astype(str), ("cat", "dog"), rows % 2, called, np.ones(2, bool))
    ...         for called in (np.zeros(40, int), rows % 2))
    >>> table = pd.DataFrame({"class": ["cat", "dog"], "kind": ["feline", "canine"]})
    >>> kinds = ClassGroups.from_frame(table, "kind", ["cat", "dog"])
    >>> group_gains(a, b, kinds)[["group", "gain", "p", "p_holm", "share_of_improved"]]
        group  gain       p  p_holm  share_of_improved
    0  feline   0.0  1.0000  1.0000                0.0
    1  canine   1.0  0.0001  0.0002                1.0
    """
    first, second = paired(a, b)
    check_groups(groups, first.n_classes, whose="the pair of runs")
    measures = [class_measure(run) for run in (first, second)]
    values = np.concatenate([each.of(unit_weights(len(first))) for each in measures], axis=1)
    value_a, value_b = groups.means(values).T
    p = np.full(len(groups.groups), np.nan)
    if isinstance(first, Decisions) and isinstance(second, Decisions):
        tallies = Tallies.of(first, second)
        gain = tallies.gain  # of whole numbers of rows, so that a tie is exactly 0
        kinds = np.stack([tallies.n - tallies.discordant, tallies.only_a, tallies.only_b], axis=1)
        samples = row_draws_of_means(kinds, (0, -1, 1), groups, n_boot=n_boot, seed=seed)
        if n_swaps:
            p = _swap_test(tallies, groups, n_swaps=n_swaps, seed=seed)
    else:
        gain = values[:, 1] - values[:, 0]
        samples = bootstrap(
            lambda weights: groups.means(measures[1].of(weights) - measures[0].of(weights)),
            len(first),
            n_boot=n_boot,
            seed=seed,
        )[1]
    low, high = percentile(samples, level=level)
    low_classes, high_classes = percentile(
        class_draws_of_means(gain, groups, n_boot=n_boot, seed=seed), level=level
    )
    counts = {
        name: groups.sums(which.astype(float)).astype(int)
        for name, which in (("improved", gain > 0), ("unchanged", gain == 0), ("harmed", gain < 0))
    }
    present = groups.sums((~np.isnan(gain)).astype(float))
    all_improved = int((gain > 0).sum())
    return pd.DataFrame(
        {
            "group": groups.groups,
            "n_classes": present.astype(int),
            "n": groups.sums(measures[0].support.astype(float)).astype(int),
            "value_a": value_a,
            "value_b": value_b,
            "gain": value_b - value_a,
            "low": low,
            "high": high,
            "low_classes": low_classes,
            "high_classes": high_classes,
            "p": p,
            "p_holm": holm(p),
            **counts,
            "share_of_improved": counts["improved"] / (all_improved or np.nan),
            "share_of_classes": present / (~np.isnan(gain)).sum(),
        }
    )


def _swap_test(
    tallies: Tallies, groups: ClassGroups, *, n_swaps: int, seed: int
) -> NDArray[np.float64]:
    """Two-sided p of the mean gain of each group's classes, shape (g,); NaN without rows.

    Swaps in classes with equally many rows weigh the same, so that one binomial stands for all.
    """
    p = np.full(len(groups.groups), np.nan)
    members = groups.belongs.T.tocsr()
    for group, generator in enumerate(np.random.default_rng(seed).spawn(len(p))):
        codes = members.indices[members.indptr[group] : members.indptr[group + 1]]
        codes = codes[tallies.n[codes] > 0]
        if codes.size == 0:
            continue
        sizes, of = np.unique(tallies.n[codes], return_inverse=True)
        discordant = np.bincount(of, tallies.discordant[codes]).astype(np.intp)
        observed = abs(np.nansum(tallies.gain[codes]))
        wins = generator.binomial(discordant, 0.5, size=(n_swaps, len(sizes)))
        swapped = np.abs((2 * wins - discordant) @ (1 / sizes))
        p[group] = (1 + (swapped >= observed - _ROUNDING).sum()) / (n_swaps + 1)
    return p
