"""Selection: which value of a hyper-parameter was chosen, by what rule, on which rows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from featstore.divisions import Division, drawn_shares, k_folds
from featstore.errors import InvalidInputError
from featstore.groups import Groups
from featstore.learner import Learner
from featstore.metrics import metric_with_error
from featstore.parts import Part, draw_validation, subset
from featstore.search import SearchKind, search
from featstore.store import FeatureStore
from featstore.thresholds import Thresholds
from featstore.trial import FoldScore, Trial, best_trial, one_se_trial

#: Rows that choose: a validation split or drawn share, folds, or folds within folds.
SelectBy = Literal["val", "kfold", "nested"]

#: The value with the best score, or the most regularised within one standard error of it.
Rule = Literal["best", "one-se"]

_CURVE = ["value", "score", "se", "rows", "chosen"]
_FOLDS = ["repeat", "fold", "value", "rows", "score", "chosen"]

#: Resamples for a standard error on one set of validation rows.
_SE_BOOT = 100


@dataclass(frozen=True)
class SelectionPlan:
    """How a hyper-parameter is chosen.

    Attributes
    ----------
    by
        ``"val"``: on a validation split, or a share of the training rows.  ``"kfold"``: by the
        mean over folds of the training rows.  ``"nested"``: the same within each of several
        outer folds, which report.
    folds
        Number of folds; of outer ones too.
    repeats
        Draws of the share or of the folds.
    rule
        ``"best"``, or ``"one-se"``: the most regularised value within one standard error.
    search
        See `featstore.search.search`.
    metric
        What is maximised.
    val_fraction
        Share of the training rows that chooses where there is no validation split.
    seed
        Of the draws.

    Raises
    ------
    InvalidInputError
        If there are fewer than two folds or no repeats, or a name is not known.
    """

    by: SelectBy = "val"
    folds: int = 5
    repeats: int = 1
    rule: Rule = "best"
    search: SearchKind = "grid"
    metric: str = "top1"
    val_fraction: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        for what, value, known in (
            ("select", self.by, SelectBy),
            ("rule", self.rule, Rule),
            ("search", self.search, SearchKind),
        ):
            if value not in get_args(known):
                choices = ", ".join(map(repr, get_args(known)))
                raise InvalidInputError(f"{what} is one of {choices}, got {value!r}")
        if self.folds < 2 or self.repeats < 1:
            raise InvalidInputError(
                f"{self.folds} folds drawn {self.repeats} times cannot choose: at least 2 folds "
                "are needed, and one draw"
            )

    def divide(
        self, store: FeatureStore, rows: Part, groups: Groups | None = None
    ) -> list[Division]:
        """Divide training rows into those to fit on and those to choose on."""
        if self.by == "val":
            return drawn_shares(
                store,
                rows,
                fraction=self.val_fraction,
                seed=self.seed,
                repeats=self.repeats,
                groups=groups,
            )
        return k_folds(
            store, rows, folds=self.folds, seed=self.seed, repeats=self.repeats, groups=groups
        )

    def rows_in_words(self, rows: str, groups: Groups | None = None) -> str:
        """Say which rows of `rows` (a split's name) choose.

        Examples
        --------
        >>> SelectionPlan().rows_in_words("train")
        '20% of train'
        >>> SelectionPlan("kfold", repeats=3).rows_in_words("train+val")
        '5 folds of train+val, drawn 3 times'
        """
        words = {
            "val": f"{self.val_fraction:.0%} of {rows}",
            "kfold": f"{self.folds} folds of {rows}",
            "nested": f"{self.folds} folds within each of {self.folds} outer folds of {rows}",
        }[self.by]
        words += f", drawn {self.repeats} times" if self.repeats > 1 else ""
        return words if groups is None else f"{words}, grouped by {groups.name}"


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
