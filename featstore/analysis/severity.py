"""Severity: how far wrong predictions are from the truth, in a taxonomy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from featstore.bootstrap import bootstrap_sums
from featstore.decisions import Outcomes, decided
from featstore.intervals import percentile
from featstore.kinship import concepts, heights
from featstore.taxonomy import Taxonomy

METRICS = (
    "mistake_severity",
    "mean_height",
    "hierarchical_precision",
    "hierarchical_recall",
    "hierarchical_f1",
)


def severity(
    predictions: Outcomes,
    taxonomy: Taxonomy,
    *,
    of: str | None = None,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Measure mistakes by the height at which they meet the truth.

    The height of a class is the longest way down to a finest class; that of a pair is the height of
    its lowest common ancestor.  Classes that have none meet at a root above all levels.

    Parameters
    ----------
    predictions
        Of one single-label run.
    taxonomy
        Has every class of the run.
    of
        Level that the run's classes belong to; the finest by default.
    n_boot, seed, level
        Percentile bootstrap over test rows: resamples (0 leaves the intervals NaN), their seed,
        coverage.

    Returns
    -------
    metrics
        Columns metric, value, low, high, n (test rows, or mistakes):

        mistake_severity
            Mean height over the mistakes (Bertinetto et al. 2020); NaN without any.
        mean_height
            Mean height over all rows, right ones counting 0 (their hierarchical distance of the
            best class).  Where every class has an ancestor of its own at every level, it is the sum
            of the error rates of all levels.
        hierarchical_precision, hierarchical_recall, hierarchical_f1
            With P the predicted class and its ancestors, and T the true class and its: Σ|P ∩ T| /
            Σ|P|, Σ|P ∩ T| / Σ|T|, and their harmonic mean (Kiritchenko et al. 2006).  A class that
            all descend from is no ancestor: it would be right by itself.

    Raises
    ------
    InvalidInputError
        As `featstore.analysis.granularity.granularity`.
    FeatureNotFoundError
        If the taxonomy has no level `of`.

    References
    ----------
    Bertinetto, Mueller, Tertikas, Samangooei & Lord (2020), Making better mistakes, CVPR.
    Kiritchenko, Matwin, Nock & Famili (2006), Learning and evaluation in the presence of class
    hierarchies, Canadian AI.

    Examples
    --------
    >>> from featstore.predictions import Predictions
    >>> frame = pd.DataFrame({"item": ["hat", "shirt", "pants"],
    ...                       "part": ["head", "body", "body"]})
    >>> run = Predictions(np.array(["a", "b", "c"]), ("hat", "shirt", "pants"), np.array([1, 2, 0]),
    ...                   np.eye(3, dtype=np.float32)[[2, 0, 0]], np.ones(3, bool))
    >>> severity(run, Taxonomy.from_frame(frame), n_boot=0)[["metric", "value", "n"]]
                       metric  value  n
    0        mistake_severity    1.5  2
    1             mean_height    1.0  3
    2  hierarchical_precision    0.5  3
    3     hierarchical_recall    0.5  3
    4         hierarchical_f1    0.5  3
    """
    run = decided(predictions)
    truth, called = run.truth, run.predicted
    sets, height = _with_ancestors(predictions.classes, taxonomy, of)
    met = np.where(called == truth, 0, _lowest(sets[called].multiply(sets[truth]), height))
    # What all descend from says nothing.
    told_apart = csr_array(sets[:, sets.sum(axis=0) < sets.shape[0]])
    size = np.diff(told_apart.indptr)
    shared = np.diff(csr_array(told_apart[called].multiply(told_apart[truth])).indptr)
    table = np.stack([met > 0, met, shared, size[called], size[truth]])
    values, samples = (
        _ratios(sums, len(run)) for sums in bootstrap_sums(table, n_boot=n_boot, seed=seed)
    )
    low, high = percentile(samples, level=level)
    n = [int((met > 0).sum())] + 4 * [len(predictions)]
    return pd.DataFrame({"metric": METRICS, "value": values, "low": low, "high": high, "n": n})


def _ratios(sums: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Turn sums over rows, shape (5, ...), into the five metrics."""
    wrong, met, shared, called, true = sums
    parts = [met, met, shared, shared, 2 * shared]
    wholes = [wrong, np.full_like(met, n), called, true, called + true]
    return np.stack(
        [
            part / np.where(whole > 0, whole, np.nan)
            for part, whole in zip(parts, wholes, strict=True)
        ]
    )


def _with_ancestors(
    classes: Sequence[str], taxonomy: Taxonomy, of: str | None
) -> tuple[csr_array, NDArray[np.intp]]:
    """Each class with all its ancestors, shape (c, nodes), bool; and the heights of the nodes."""
    start = taxonomy.position(of) if of else 0
    parents = taxonomy.parents[start:]
    nodes = concepts(taxonomy.names[start:], parents)
    height = heights(nodes, parents)
    lineage = taxonomy.lineage(classes, of=of)
    rows = [np.repeat(np.arange(len(classes)), np.diff(up.indptr)) for up in lineage]
    columns = [level[up.indices] for level, up in zip(nodes, lineage, strict=True)]
    ones = np.ones(sum(map(len, rows)), bool)
    places = (np.concatenate(rows), np.concatenate(columns))
    return csr_array((ones, places), shape=(len(classes), len(height))), height


def _lowest(common: csr_array, height: NDArray[np.intp]) -> NDArray[np.intp]:
    """Least height among the nodes of each row; that of a root above all where there are none."""
    common = csr_array(common)
    lowest = np.full(common.shape[0], height.max() + 1)
    some = np.flatnonzero(np.diff(common.indptr))
    if some.size:
        lowest[some] = np.minimum.reduceat(height[common.indices], common.indptr[some])
    return lowest
