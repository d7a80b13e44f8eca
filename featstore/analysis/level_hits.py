"""Level hits: which test rows are right at each level of a taxonomy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from featstore.decisions import Decisions, Outcomes, decided
from featstore.errors import InvalidInputError
from featstore.kinship import occurring
from featstore.taxonomy import Taxonomy

Rule = Literal["argmax", "sum"]
"""``"argmax"``: the ancestors of the predicted class; ``"sum"``: the class at the level with the
largest sum of its descendants' probabilities."""

_BLOCK_VALUES = 1 << 22


@dataclass(frozen=True, eq=False)
class LevelHits:
    """What is right at each level, finest first.

    Attributes
    ----------
    levels
        Names of the levels.
    n_classes
        Classes of each level that occur among the ancestors of the run's classes.
    chance
        Accuracy of always answering the class of the level that most test rows belong to.
    hits
        Shape (levels, n), bool.
    """

    levels: tuple[str, ...]
    n_classes: tuple[int, ...]
    chance: tuple[float, ...]
    hits: NDArray[np.bool_]


def level_hits(
    predictions: Outcomes, taxonomy: Taxonomy, *, rule: Rule = "argmax", of: str | None = None
) -> LevelHits:
    """Coarsen predictions and labels level by level.

    A class with several ancestors at a level belongs to all of them.  By ``"argmax"`` a row is
    right if the ancestors of its predicted and of its true class meet; by ``"sum"`` if the class
    with the largest sum is an ancestor of the true one.  In a tree both are equality.

    Parameters
    ----------
    predictions
        Of one single-label run; ``"argmax"`` needs no scores.
    taxonomy
        Has every class of the run.
    rule
        See `Rule`.
    of
        Level that the run's classes belong to; the finest by default.

    Raises
    ------
    InvalidInputError
        If the run is multi-label or lacks the scores that are to be summed, a class is missing
        from the taxonomy, or the run has no test rows or impossible scores or labels.
    FeatureNotFoundError
        If the taxonomy has no level `of`.
    """
    run = decided(predictions)
    truth, called = run.truth.astype(np.intp), run.predicted.astype(np.intp)
    levels = taxonomy.levels[taxonomy.position(of) if of else 0 :]
    above = [occurring(up)[1] for up in taxonomy.lineage(predictions.classes, of=of)]
    if rule == "sum":
        if isinstance(predictions, Decisions):
            raise InvalidInputError(
                "rule 'sum' adds up probabilities, and the run was given as its decisions only"
            )
        answers = _largest_sums(predictions.scores, above)
        hits = [_related(truth, answer, up) for answer, up in zip(answers, above, strict=True)]
    else:
        hits = [meet(called, truth, up) for up in above]
    rows = np.bincount(truth, minlength=predictions.n_classes)
    return LevelHits(
        levels=levels,
        n_classes=tuple(up.shape[1] for up in above),
        chance=tuple(float((rows @ up).max()) / len(predictions) for up in above),
        hits=np.array(hits),
    )


def meet(a: NDArray[np.intp], b: NDArray[np.intp], above: csr_array) -> NDArray[np.bool_]:
    """Whether two classes have an ancestor in common, for pairs of classes.

    Parameters
    ----------
    a, b
        Class codes, shape (n,).
    above
        Shape (c, m), bool: the ancestors of each class.

    Examples
    --------
    >>> above = csr_array(np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]], bool))
    >>> print(meet(np.array([0, 0]), np.array([1, 2]), above))
    [ True False]
    """
    if _one_each(above):
        codes = above.indices
        return np.asarray(codes[a] == codes[b])
    common = above[a].multiply(above[b])
    return np.asarray(common.sum(axis=1)).ravel() > 0


def _related(
    truth: NDArray[np.intp], answer: NDArray[np.intp], above: csr_array
) -> NDArray[np.bool_]:
    """Whether a class at the level is an ancestor of the true one."""
    if _one_each(above):
        return np.asarray(above.indices[truth] == answer)
    c, m = above.shape
    related = np.repeat(np.arange(c), np.diff(above.indptr)) * m + above.indices
    return np.isin(truth * m + answer, related)


def _one_each(above: csr_array) -> bool:
    return bool((np.diff(above.indptr) == 1).all())


def _largest_sums(scores: NDArray[np.float32], above: list[csr_array]) -> list[NDArray[np.intp]]:
    """Code with the largest sum at each level, shape (n,) each; ties to the lower code."""
    answers = [np.empty(len(scores), np.intp) for _ in above]
    plan = _plan(above)
    block = max(1, _BLOCK_VALUES // scores.shape[1])
    for start in range(0, len(scores), block):
        # (c, block): a class's scores side by side, so that sums are sums of whole vectors.
        sums = [np.asarray(scores[start : start + block].T, np.float64, order="C")]
        for answer, (source, matrix) in zip(answers, plan, strict=True):
            sums.append(matrix @ sums[source])
            answer[start : start + block] = sums[-1].argmax(axis=0)
    return answers


def _plan(above: list[csr_array]) -> list[tuple[int, csr_array]]:
    """Say for each level which sums to add up, and how: 0 for the scores, i for level i - 1.

    Sums over children are sums over descendants where every class has one ancestor; elsewhere
    somebody would be counted twice, and the scores themselves are added up.
    """
    plan, source, codes = [], 0, np.arange(above[0].shape[0], dtype=np.intp)
    for i, up in enumerate(above, 1):
        if _one_each(up):
            pairs = np.unique(np.stack([up.indices, codes]), axis=1)
            shape = (up.shape[1], int(codes.max()) + 1)
            plan.append((source, csr_array((np.ones(pairs.shape[1]), pairs), shape=shape)))
            source, codes = i, up.indices.astype(np.intp)
        else:
            plan.append((0, csr_array(up.T.astype(np.float64))))
    return plan
