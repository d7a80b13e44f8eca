"""AlignedRuns: what several runs made of the same test rows, ready for paired statistics."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from featstore.analysis.pairing import check_alike, check_labels, check_unique
from featstore.bootstrap import Statistic
from featstore.decisions import Decisions, Outcomes
from featstore.errors import InvalidInputError
from featstore.predictions import Predictions
from featstore.validation import check_predictions
from featstore.weighted import (
    TOP_K,
    class_average_precision,
    indicator,
    mean_defined,
    mean_recall,
    true_ranks,
)

PairedMetric = Literal["top1", "top5", "mean_per_class", "mAP"]


@dataclass(frozen=True, eq=False)
class AlignedRuns:
    """What several runs made of the same test rows.

    Attributes
    ----------
    names
        Of the r runs.
    metric
        What is compared: ``"top1"``, ``"top5"`` or ``"mean_per_class"``; ``"mAP"`` for multi-label
        runs.
    ids
        Of the n rows, sorted.
    truth
        Labels of the rows, shape (n,) or (n, c).
    hits
        Whether each run has each row right (among the best five for top5), shape (n, r); None for
        multi-label runs.
    runs
        Multi-label runs on these rows; empty for single-label ones, of which hits are enough.
    left_out
        Rows of each run that are not among these, because another run lacks them.
    """

    names: tuple[str, ...]
    metric: PairedMetric
    ids: NDArray[np.str_]
    truth: NDArray[np.integer] | NDArray[np.bool_]
    hits: NDArray[np.bool_] | None
    runs: tuple[Predictions, ...]
    left_out: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.ids)

    def statistic(self) -> Statistic:
        """Prepare the metric of every run: row weights (n, b) to values (r, b)."""
        if self.hits is None:
            return _each([class_average_precision(run) for run in self.runs])
        if self.metric == "mean_per_class":
            return _mean_per_class(self.truth.astype(np.intp), self.hits)
        right = self.hits.T.astype(np.float32)  # (r, n)
        return lambda weights: (right @ weights) / weights.sum(axis=0, dtype=np.float64)


def align(
    runs: Mapping[str, Outcomes] | Iterable[tuple[str, Outcomes]],
    *,
    metric: PairedMetric | None = None,
    common: bool = False,
) -> AlignedRuns:
    """Bring several runs to the same rows in the same order.

    Of single-label runs only what is right is kept: runs that are loaded one after the other are
    never in memory together.

    Parameters
    ----------
    runs
        Predictions, or decisions, by name, or pairs of both.
    metric
        What to compare; ``"top1"``, or ``"mAP"`` for multi-label runs, by default.
    common
        Whether rows that only some of the runs have are left out; they are an error otherwise.

    Raises
    ------
    InvalidInputError
        If the runs were measured on different rows (with `common`: have none in common), differ in
        their classes or labels, an id repeats, two share a name, there are none, or the metric is
        none for this kind of target.

    Examples
    --------
    >>> ids, truth, seen = np.array(["a", "b", "c"]), np.array([0, 1, 1]), np.array([True, True])
    >>> scores = np.eye(2, dtype=np.float32)
    >>> right = Predictions(ids, ("cat", "dog"), truth, scores[truth], seen)
    >>> all_cat = Predictions(ids, ("cat", "dog"), truth, scores[[0, 0, 0]], seen)
    >>> both = align({"right": right, "all cat": all_cat})
    >>> print(both.statistic()(np.ones((3, 1), np.float32)).round(3).T)
    [[1.    0.333]]
    """
    named = list(runs.items()) if isinstance(runs, Mapping) else runs
    seen: list[_Run] = []
    first: Outcomes | None = None
    for name, predictions in named:
        if isinstance(predictions, Predictions):
            check_predictions(predictions)
        check_unique(predictions, repr(name))
        if any(run.name == name for run in seen):
            raise InvalidInputError(f"two runs are called {name!r}; each needs a name of its own")
        if first is None:
            first, metric = _without_scores(predictions), _checked_metric(predictions, metric)
        else:
            check_alike(first, predictions, names=(repr(seen[0].name), repr(name)))
        assert metric is not None  # it was set with the first
        seen.append(_Run.of(name, predictions, metric))
    if not seen or metric is None:
        raise InvalidInputError("there are no runs to compare")
    ids = _rows_of_all(seen, common=common)
    aligned = [run.on(ids) for run in seen]
    for run in aligned[1:]:
        check_labels(
            ids, aligned[0].truth, run.truth, names=(repr(aligned[0].name), repr(run.name))
        )
    multilabel = metric == "mAP"
    return AlignedRuns(
        names=tuple(run.name for run in seen),
        metric=metric,
        ids=ids,
        truth=aligned[0].truth,
        hits=None if multilabel else np.stack([run.kept for run in aligned], axis=1).astype(bool),
        runs=tuple(run.predictions for run in aligned if run.predictions is not None),
        left_out={run.name: len(run.ids) - len(ids) for run in seen},
    )


@dataclass(frozen=True, eq=False)
class _Run:
    """What is kept of one run: hits, or all of a multi-label run."""

    name: str
    ids: NDArray[np.str_]
    truth: NDArray[np.integer] | NDArray[np.bool_]
    kept: NDArray[np.bool_]
    predictions: Predictions | None

    @classmethod
    def of(cls, name: str, run: Outcomes, metric: PairedMetric) -> _Run:
        if metric == "mAP" and isinstance(run, Predictions):
            return cls(name, run.ids, run.truth, np.zeros(len(run), bool), run)
        truth = run.truth.astype(np.intp)
        if metric == "top5":
            if isinstance(run, Decisions):
                raise InvalidInputError("top5 needs scores; give the predictions of each run")
            kept = (true_ranks(run.scores, truth) < TOP_K) & run.seen[truth]
        else:
            kept = run.predicted == truth
        return cls(name, run.ids, run.truth, kept, None)

    def on(self, ids: NDArray[np.str_]) -> _Run:
        """Return the same on some of its rows, given by sorted ids."""
        order = np.argsort(self.ids)
        rows = order[np.searchsorted(self.ids, ids, sorter=order)]
        kept = self.predictions
        if kept is not None:
            kept = dataclasses.replace(
                kept, ids=ids, truth=kept.truth[rows], scores=kept.scores[rows]
            )
        return _Run(self.name, ids, self.truth[rows], self.kept[rows], kept)


def _rows_of_all(runs: list[_Run], *, common: bool) -> NDArray[np.str_]:
    """Ids that all runs have, sorted; all ids of each, unless only common rows are asked for."""
    ids = np.sort(runs[0].ids)
    for run in runs[1:]:
        ids = np.intersect1d(ids, run.ids, assume_unique=True)
    if len(ids) == 0:
        raise InvalidInputError(
            f"the runs have no test row in common ({', '.join(run.name for run in runs)}); were "
            "they evaluated on the same split of the same store?"
        )
    if common or all(len(run.ids) == len(ids) for run in runs):
        return ids
    counts = ", ".join(f"{run.name}: {len(run.ids)}" for run in runs)
    raise InvalidInputError(
        f"the runs were measured on different rows ({counts}; {len(ids)} in common). Compare runs "
        "of one split, or ask for the common rows with common=True (--common)"
    )


def _checked_metric(run: Outcomes, metric: PairedMetric | None) -> PairedMetric:
    if metric is None:
        return "mAP" if run.multilabel else "top1"
    if metric not in get_args(PairedMetric) or run.multilabel != (metric == "mAP"):
        kind = "multi-label runs have mAP" if run.multilabel else "single-label runs have "
        known = "" if run.multilabel else "top1, top5, mean_per_class"
        raise InvalidInputError(f"{metric!r} cannot be compared row by row: {kind}{known}")
    if metric == "top5" and run.n_classes <= TOP_K:
        raise InvalidInputError(f"top5 of {run.n_classes} classes is always right; choose top1")
    return metric


def _without_scores(run: Outcomes) -> Outcomes:
    """Return classes and kind alone, so that the scores can be freed."""
    if isinstance(run, Decisions):
        return run
    return dataclasses.replace(
        run, ids=run.ids[:0], truth=run.truth[:0].copy(), scores=run.scores[:0].copy()
    )


def _each(statistics: list[Statistic]) -> Statistic:
    return lambda weights: np.stack([mean_defined(of(weights)) for of in statistics])


def _mean_per_class(truth: NDArray[np.intp], hits: NDArray[np.bool_]) -> Statistic:
    shape = int(truth.max()) + 1, len(truth)
    support_of = indicator(truth, np.arange(len(truth)), shape=shape)
    rows = [np.flatnonzero(right) for right in hits.T]
    correct_of = [indicator(truth[right], right, shape=shape) for right in rows]

    def statistic(weights: NDArray[np.float32]) -> NDArray[np.float64]:
        support = support_of @ weights  # (c, b)
        return np.stack([mean_recall(correct @ weights, support) for correct in correct_of])

    return statistic
