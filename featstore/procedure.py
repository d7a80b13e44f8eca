"""Procedure: choose a value, fit on all training rows, predict the reported ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from featstore.divisions import Division
from featstore.errors import InvalidInputError
from featstore.groups import Groups
from featstore.learner import Learner
from featstore.nested import NestedPredictions, nested_predictions
from featstore.predictions import Predictions
from featstore.scaling import BlockScaling
from featstore.selection import Selection, choose_thresholds, select_value
from featstore.selection_plan import SelectionPlan
from featstore.split_parts import SplitParts
from featstore.store import FeatureStore
from featstore.thresholds import Thresholds

_FIXED = "fixed"


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a procedure came to; the learner's estimator is left fitted to all training rows.

    Attributes
    ----------
    value
        Of the hyper-parameter.
    selected_on
        Which rows chose it, in words: ``"fixed"`` if none did.
    predictions
        Of the reported rows.
    blocks
        Scaling that the final fit learned.
    selection
        The choice; None where nothing was chosen.
    thresholds, thresholds_on
        Thresholds for the reported rows, and which rows chose them; None if not asked for.
    outer
        What the outer folds of a nested selection gave.
    """

    value: float
    selected_on: str
    predictions: Predictions
    blocks: BlockScaling
    selection: Selection | None
    thresholds: Thresholds | None
    thresholds_on: str | None
    outer: NestedPredictions | None

    @property
    def curve(self) -> pd.DataFrame:
        """Scores of the values tried; see `Selection`."""
        return (self.selection or Selection.none()).curve

    @property
    def fold_scores(self) -> pd.DataFrame:
        """Scores of all folds, with the column outer: an outer fold, or 0 for the final choice."""
        final = (self.selection or Selection.none()).fold_scores.assign(outer=0)
        if self.outer is None or self.selection is None:
            return final
        return pd.concat([final, self.outer.fold_scores], ignore_index=True)


def carry_out(
    store: FeatureStore,
    learner: Learner,
    values: Sequence[float],
    parts: SplitParts,
    plan: SelectionPlan,
    *,
    groups: Groups | None = None,
    thresholds: bool = False,
) -> Outcome:
    """Choose among values, fit on all training rows, and predict the reported ones.

    Parameters
    ----------
    store
        That the rows are of.
    learner
        What is fitted.
    values
        Candidates of its hyper-parameter; a single one is taken as it is, and without any the
        estimator settles on a value by itself.
    parts
        Rows by their use.
    plan
        Of the choice.
    groups
        Rows that stay together.
    thresholds
        Whether to choose thresholds (for multi-label targets); never on the rows reported on.
    """
    chooses, tunes = len(values) > 1, thresholds and not parts.chooses_on_reported
    divisions: list[Division] = []
    words = ""
    if chooses or tunes:
        divisions, words = _divisions(store, parts, plan, groups)
    outer = tuned = None
    if parts.nested:
        outer = nested_predictions(
            store, learner, values, parts.refit, plan, groups=groups, thresholds=tunes
        )
        tuned = outer.thresholds
    selection = select_value(learner, values, divisions, plan, store=store) if chooses else None
    value = selection.value if selection else values[0] if values else None
    if tunes and outer is None:
        tuned = choose_thresholds(learner, value, divisions, n=len(parts.test))

    blocks = learner.fit(parts.refit, value)
    selected_on = words if chooses else _FIXED
    if value is None:
        value, rule = learner.own_choice()
        selected_on = f"{parts.refit_name}, {rule}" if rule else _FIXED
    return Outcome(
        value=value,
        selected_on=selected_on,
        predictions=outer.predictions
        if outer
        else learner.predict(blocks, parts.refit, parts.test),
        blocks=blocks,
        selection=selection,
        thresholds=tuned,
        thresholds_on=words if tunes else None,
        outer=outer,
    )


def _divisions(
    store: FeatureStore, parts: SplitParts, plan: SelectionPlan, groups: Groups | None
) -> tuple[list[Division], str]:
    """Rows to fit on and to choose on, and the latter in words."""
    if plan.by != "val" or parts.val is None or parts.val_name is None:
        return plan.divide(store, parts.refit, groups), plan.rows_in_words(parts.refit_name, groups)
    if plan.repeats > 1:
        raise InvalidInputError(
            f"the split {parts.val_name!r} chooses, and there is one of it, not {plan.repeats} "
            "draws; leave --repeats out, or choose by --select kfold"
        )
    return [Division(parts.train, parts.val)], parts.val_name
