"""Selection: which value of a hyper-parameter was chosen, by what rule, on which rows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from featstore.divisions import Division
from featstore.errors import InvalidInputError
from featstore.learner import Learner
from featstore.metrics import metric_with_error
from featstore.parts import Part, draw_validation, subset
from featstore.search import search
from featstore.selection_plan import SelectionPlan
from featstore.store import FeatureStore
from featstore.thresholds import Thresholds
from featstore.trial import FoldScore, Trial, best_trial, one_se_trial

_CURVE = ["value", "score", "se", "rows", "chosen"]
_FOLDS = ["repeat", "fold", "value", "rows", "score", "chosen"]

#: Resamples for a standard error on one set of validation rows.
_SE_BOOT = 100


@dataclass(frozen=True, eq=False)
class Selection:
    """A choice of one value among several.

    Attributes
    ----------
    value
        The one chosen.
    curve
        One row per value tried: value, score (mean over the folds), se (its standard error; NaN
        where there is one fold and the rule asks for none), rows (fitted on, on average), chosen.
        A halving lists a value once for each number of rows it was tried on.
    fold_scores
        One row per value and fold: repeat, fold, value, rows, score, chosen.
    """

    value: float
    curve: pd.DataFrame
    fold_scores: pd.DataFrame

    @classmethod
    def of(cls, trials: Sequence[Trial], value: float) -> Selection:
        """Lay trials out as frames."""
        curve = [
            (
                trial.value,
                trial.score,
                trial.se,
                float(np.mean([fold.rows for fold in trial.folds])),
                trial.value == value and trial.share == 1,
            )
            for trial in trials
        ]
        folds = [
            (
                fold.repeat,
                fold.fold,
                trial.value,
                float(fold.rows),
                fold.score,
                trial.value == value,
            )
            for trial in trials
            for fold in trial.folds
        ]
        return cls(
            value,
            pd.DataFrame(curve, columns=_CURVE),
            pd.DataFrame(folds, columns=_FOLDS),
        )

    @classmethod
    def none(cls) -> Selection:
        """Return a choice among nothing: frames without rows."""
        return cls.of([], math.nan)


def select_value(
    learner: Learner,
    values: Sequence[float],
    divisions: Sequence[Division],
    plan: SelectionPlan,
    *,
    store: FeatureStore,
) -> Selection:
    """Choose a value.

    Parameters
    ----------
    learner
        What is fitted.
    values
        Candidates.
    divisions
        Rows to fit and to choose on, of `SelectionPlan.divide` or of given splits.
    plan
        What is maximised, the search and the rule.
    store
        That the rows are of.

    Raises
    ------
    InvalidInputError
        If no score is defined, the rule needs an order that the parameter does not have, or a
        halving is asked of a parameter that counts rows.
    """
    stronger = learner.stronger
    parameter = learner.estimator.parameter
    if plan.rule == "one-se" and stronger is None:
        raise InvalidInputError(
            f"the one-standard-error rule takes the most regularised value, and no end of "
            f"{parameter} is that; use --rule best"
        )
    if learner.counts_rows:
        if plan.search == "halving":
            raise InvalidInputError(
                f"{parameter} counts training rows, so a share of them cannot choose it, and one "
                "search of all rows gives every value; use --search grid"
            )
        most = min(len(division.fit) for division in divisions)
        values = tuple(value for value in values if value <= most) or (float(most),)
    errors = plan.rule == "one-se" and all(division.fold == 0 for division in divisions)

    def score(candidates: Sequence[float], share: float) -> Iterator[Trial]:
        found = defaultdict(list)
        for division in divisions:
            fit = _thinned(store, division.fit, share, plan.seed)
            for value, predictions in learner.sweep(fit, division.held_out, candidates):
                result, se = metric_with_error(
                    predictions, plan.metric, n_boot=_SE_BOOT * errors, seed=plan.seed
                )
                found[value].append(
                    FoldScore(division.repeat, division.fold, result, se, rows=len(fit))
                )
        for value, folds in found.items():
            if len(folds) < len(divisions):  # it diverged somewhere
                yield Trial(value, math.nan, share=share, folds=tuple(folds))
            else:
                yield Trial.over(value, folds, share=share)

    trials = search(values, score, kind=plan.search, ties=learner.ties)
    if plan.rule == "one-se" and stronger is not None:
        chosen = one_se_trial(trials, stronger=stronger, ties=learner.ties)
    else:
        chosen = best_trial(trials, ties=learner.ties)
    return Selection.of(trials, chosen.value)


def choose_thresholds(
    learner: Learner, value: float | None, divisions: Sequence[Division], *, n: int
) -> Thresholds:
    """Choose thresholds on rows set aside, each scored by a probe that was not fitted on it.

    Parameters
    ----------
    learner
        What is fitted, to a multi-label target.
    value
        The hyper-parameter's; None leaves it to the estimator.
    divisions
        Rows to fit on and to choose on; the latter are pooled.
    n
        Rows that the thresholds will be applied to.
    """
    scores, truth = [], []
    for division in divisions:
        blocks = learner.fit(division.fit, value)
        predictions = learner.predict(blocks, division.fit, division.held_out)
        scores.append(predictions.scores)
        truth.append(division.held_out.labels)
    return Thresholds.choose(np.concatenate(scores), np.concatenate(truth), n=n)


def _thinned(store: FeatureStore, part: Part, share: float, seed: int) -> Part:
    """Return a stratified share of the rows with every class in it."""
    if share == 1:
        return part
    dropped = draw_validation(part.labels, 1 - share, seed)
    return subset(store, part, ~dropped)
