"""Whether mistakes stay among siblings or go to strangers, beside what chance would do."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from featstore.analysis.class_averages import check_groups
from featstore.analysis.level_hits import meet
from featstore.class_groups import ClassGroups
from featstore.decisions import Outcomes, decided
from featstore.errors import InvalidInputError
from featstore.intervals import wilson
from featstore.taxonomy import Taxonomy

_BLOCK_VALUES = 1 << 22


def kin_confusion(
    predictions: Outcomes,
    taxonomy: Taxonomy,
    *,
    level: str | None = None,
    groups: ClassGroups | None = None,
    of: str | None = None,
    coverage: float = 0.95,
) -> pd.DataFrame:
    r"""Divide the mistakes by how near kin the predicted class is to the true one.

    Siblings share a class at `level`, cousins one at the next coarser level and none at `level`;
    strangers share neither.  A mistake at random falls to class j with a probability in proportion
    to q_j, whatever the image: with t the true class of a mistake, siblings are expected in a share
    Σ_j sibling of t q_j / (1 - q_t), averaged over the mistakes.

    Parameters
    ----------
    predictions
        Of one single-label run; no scores are needed.
    taxonomy
        Has every class of the run.
    level
        Of the parents; the one above the run's classes by default.
    groups
        Also count the mistakes in each group of true classes.
    of
        Level that the run's classes belong to; the finest by default.
    coverage
        Of the Wilson intervals of the shares.

    Returns
    -------
    kinship
        One row per group ("all" first) and relation (siblings; cousins, if there is a coarser
        level; strangers): group, relation, mistakes (of the group), n (of this relation), share,
        low, high, expected (q: share of the test rows), expected_uniform (q: equal for all
        classes), ratio (share / expected).

    Raises
    ------
    InvalidInputError
        If the run is multi-label, a class is missing from the taxonomy, `level` is not coarser
        than the run's classes, the groups are those of other classes, or the run has no test rows
        or impossible scores or labels.
    FeatureNotFoundError
        If the taxonomy has no such level.

    Examples
    --------
    >>> from featstore.decisions import Decisions
    >>> frame = pd.DataFrame({"item": ["hat", "cap", "shirt", "pants"],
    ...                       "part": ["head", "head", "body", "body"]})
    >>> run = Decisions(np.arange(4).astype(str), ("hat", "cap", "shirt", "pants"),
    ...                 np.arange(4), np.array([1, 0, 3, 0]), np.ones(4, bool))
    >>> found = kin_confusion(run, Taxonomy.from_frame(frame))
    >>> print(found[["relation", "n", "share", "expected"]].round(2))
        relation  n  share  expected
    0   siblings  3   0.75      0.33
    1  strangers  1   0.25      0.67
    """
    run = decided(predictions)
    above = taxonomy.lineage(run.classes, of=of)
    start = taxonomy.position(of) if of else 0
    parents = (taxonomy.position(level) - start) if level else 1
    if not 1 <= parents < len(above):
        raise InvalidInputError(
            f"parents are at a coarser level than the classes: {taxonomy.levels[start]!r} is that "
            f"of the classes, and {level!r} was asked for; the levels are, finest first, "
            f"{', '.join(taxonomy.levels)}"
        )
    kin = above[parents : parents + 2]
    relations = ["siblings", "cousins", "strangers"] if len(kin) == 2 else ["siblings", "strangers"]
    wrong = np.flatnonzero(~run.right)
    true, called = run.truth[wrong].astype(np.intp), run.predicted[wrong].astype(np.intp)
    nearest = np.full(len(wrong), len(kin))
    for place in reversed(range(len(kin))):
        nearest[meet(called, true, kin[place])] = place
    c = run.n_classes
    # counts[t, r]: mistakes of class t that fell to relation r.
    counts = np.bincount(true * (len(kin) + 1) + nearest, minlength=c * (len(kin) + 1))
    counts = counts.reshape(c, -1).astype(np.float64)
    mistakes = counts.sum(axis=1)
    priors = (np.bincount(run.truth, minlength=c) / len(run), np.full(c, 1 / c))
    tables = [counts, *(mistakes[:, None] * _random(kin, q) for q in priors)]
    parts = [("all", [table.sum(axis=0) for table in tables])]
    if groups is not None:
        check_groups(groups, c, whose="the run")
        sums = [groups.sums(table) for table in tables]
        parts += [(name, [table[g] for table in sums]) for g, name in enumerate(groups.groups)]
    return pd.concat(
        [_frame(name, relations, *part, coverage=coverage) for name, part in parts],
        ignore_index=True,
    )


def _random(kin: list[csr_array], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a random mistake of each class falls, shape (c, relations)."""
    others = np.where(q < 1, 1 - q, np.nan)
    related = [(_related_mass(above, q) - q) / others for above in kin]
    return np.stack(
        [
            related[0],
            *(later - earlier for earlier, later in pairwise(related)),
            1 - related[-1],
        ],
        axis=1,
    )


def _related_mass(above: csr_array, q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of q over the classes that share an ancestor with each class, itself included."""
    if (np.diff(above.indptr) == 1).all():
        codes = above.indices
        return np.asarray(np.bincount(codes, q, minlength=above.shape[1])[codes])
    # With several ancestors nobody may count twice.
    numbers = above.astype(np.float32)
    block = max(1, _BLOCK_VALUES // above.shape[0])
    masses = [(numbers[i : i + block] @ numbers.T > 0) @ q for i in range(0, above.shape[0], block)]
    return np.concatenate(masses)


def _frame(
    group: str,
    relations: list[str],
    counts: NDArray[np.float64],
    by_rows: NDArray[np.float64],
    by_classes: NDArray[np.float64],
    *,
    coverage: float,
) -> pd.DataFrame:
    mistakes = counts.sum()
    whole = mistakes or np.nan
    low, high = wilson(counts, np.full(len(counts), mistakes), level=coverage)
    expected = by_rows / whole
    share = counts / whole
    return pd.DataFrame(
        {
            "group": group,
            "relation": relations,
            "mistakes": int(mistakes),
            "n": counts.astype(int),
            "share": share,
            "low": low,
            "high": high,
            "expected": expected,
            "expected_uniform": by_classes / whole,
            "ratio": share / np.where(expected > 0, expected, np.nan),
        }
    )
