"""The classes that change most, by size and by evidence (Table A1)."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from featstore.analysis.compare import Comparison
from featstore.errors import InvalidInputError
from featstore.significance import benjamini_hochberg


def changed_classes(
    comparison: Comparison,
    *,
    k: int = 10,
    q: float = 0.05,
    within: Collection[str] | None = None,
) -> pd.DataFrame:
    """List the most improved and the most harmed classes in two ways.

    By gain, as Table A1 has them: with ten test rows to a class, the extremes of thousands of
    classes are mostly chance, and would be others on other rows.  By evidence: the classes whose
    exact McNemar test holds against the number of classes tested (Benjamini & Hochberg), the
    surest first.  The second list may well be empty where the first is long.

    Parameters
    ----------
    comparison
        Of `featstore.analysis.compare.compare`.
    k
        Classes to a list at most.
    q
        False discovery rate of the lists by evidence.
    within
        Names of the only classes to look at, and to adjust for; all by default.

    Returns
    -------
    lists
        Columns change (improved, harmed), ranking (gain, evidence), rank, class, n, before,
        after, gain, p, q.  A multi-label comparison has no test of single classes: p and q are
        NaN, and there is no list by evidence.

    Raises
    ------
    InvalidInputError
        If `k` < 1, or `q` is outside (0, 1).

    References
    ----------
    Cole, Yang, Wilber, Mac Aodha & Belongie (2022), When does contrastive visual representation
    learning work?, CVPR, Table A1.

    Examples
    --------
    >>> from featstore.analysis.compare import compare
    >>> from featstore.decisions import Decisions
    >>> rows = np.arange(40)
    >>> a, b = (Decisions(rows.astype(str), ("cat", "dog"), rows % 2, called, np.ones(2, bool))
    ...         for called in (np.zeros(40, int), rows % 2))
    >>> changed_classes(compare(a, b))[["change", "ranking", "rank", "class", "gain"]]
         change   ranking  rank class  gain
    0  improved      gain     1   dog   1.0
    1  improved  evidence     1   dog   1.0
    """
    if k < 1 or not 0 < q < 1:
        raise InvalidInputError(
            f"a list has at least one class and a false discovery rate between 0 and 1, got "
            f"k = {k} and q = {q}"
        )
    frame = comparison.classes.dropna(subset="gain")
    if within is not None:
        frame = frame[frame["class"].isin(list(within))]
    metric = "accuracy" if comparison.metric == "top1" else "average_precision"
    frame = frame.rename(columns={f"{metric}_a": "before", f"{metric}_b": "after"})
    if comparison.metric == "top1":
        frame = frame.assign(q=benjamini_hochberg(frame["p"].to_numpy()))
    else:
        frame = frame.assign(p=float("nan"), q=float("nan"))
    lists = []
    for change, sign in (("improved", 1), ("harmed", -1)):
        moved = frame[sign * frame["gain"] > 0].assign(size=lambda rows: -rows["gain"].abs())
        for ranking, by, rows in (
            ("gain", ["size"], moved),
            ("evidence", ["p", "size"], moved[moved["q"] <= q]),
        ):
            best = rows.sort_values(by, kind="stable").head(k)
            ranks = np.arange(1, len(best) + 1)
            lists.append(best.assign(change=change, ranking=ranking, rank=ranks))
    columns = ["change", "ranking", "rank", "class", "n", "before", "after", "gain", "p", "q"]
    return pd.concat(lists, ignore_index=True)[columns]
