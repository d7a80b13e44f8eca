"""Nested: outer folds report on a procedure whose inner folds choose the value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.divisions import k_folds
from featstore.groups import Groups
from featstore.learner import Learner
from featstore.parts import Part
from featstore.predictions import Predictions
from featstore.selection import choose_thresholds, select_value
from featstore.selection_plan import SelectionPlan
from featstore.store import FeatureStore
from featstore.thresholds import Thresholds


@dataclass(frozen=True, eq=False)
class NestedPredictions:
    """Every row predicted once, by a probe that neither trained on it nor was chosen by it.

    Attributes
    ----------
    predictions
        In the order of the rows.  A class counts as seen if all of its rows were predicted by
        probes that had seen it.
    thresholds
        Of each outer fold, chosen on its inner folds; None where nobody asked.
    fold_scores
        As of `featstore.selection.Selection`, with the column outer: the outer fold, from 1.
    """

    predictions: Predictions
    thresholds: Thresholds | None
    fold_scores: pd.DataFrame


def nested_predictions(
    store: FeatureStore,
    learner: Learner,
    values: Sequence[float],
    rows: Part,
    plan: SelectionPlan,
    *,
    groups: Groups | None = None,
    thresholds: bool = False,
) -> NestedPredictions:
    """Predict each outer fold after choosing a value on inner folds of the others.

    Parameters
    ----------
    store
        That the rows are of.
    learner
        What is fitted.
    values
        Candidates; with one or none nothing is chosen, and this is plain cross-validation.
    rows
        To be predicted, each once.
    plan
        Of the choice; its number of folds is that of the outer ones too.
    groups
        Rows that stay together, in outer and inner folds.
    thresholds
        Whether to choose thresholds on the inner folds (for multi-label targets).

    References
    ----------
    Varma & Simon (2006), Bias in error estimation when using cross-validation for model
    selection, BMC Bioinformatics 7.
    """
    scores = np.zeros((len(rows), len(learner.target.classes)), np.float32)
    unseen = np.zeros(scores.shape[1], bool)
    source = np.zeros(len(rows), np.int32)
    chosen_thresholds, frames = [], []
    inner_plan = replace(plan, by="kfold")
    for outer in k_folds(store, rows, folds=plan.folds, seed=plan.seed, groups=groups):
        inner = inner_plan.divide(store, outer.fit, groups) if len(values) > 1 or thresholds else []
        value = values[0] if values else None
        if len(values) > 1:
            selection = select_value(learner, values, inner, inner_plan, store=store)
            value = selection.value
            frames.append(selection.fold_scores.assign(outer=outer.fold + 1))
        index = np.flatnonzero(np.isin(rows.view.rows, outer.held_out.view.rows))
        if thresholds:
            chosen_thresholds.append(choose_thresholds(learner, value, inner, n=len(index)))
        blocks = learner.fit(outer.fit, value)
        predictions = learner.predict(blocks, outer.fit, outer.held_out)
        scores[index], source[index] = predictions.scores, outer.fold
        unseen |= _present(outer.held_out, len(unseen)) & ~predictions.seen
    return NestedPredictions(
        Predictions(rows.view.ids, learner.target.classes, rows.labels, scores, ~unseen),
        Thresholds.joined(chosen_thresholds, source) if thresholds else None,
        pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(),
    )


def _present(part: Part, n_classes: int) -> NDArray[np.bool_]:
    """Whether each class has rows in a part."""
    if part.labels.ndim == 2:
        return np.asarray(part.labels.any(axis=0))
    return np.asarray(np.bincount(part.labels, minlength=n_classes) > 0)
