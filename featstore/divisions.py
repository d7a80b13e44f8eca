"""Division: rows to fit on and rows to choose on, and how training rows are divided into such."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.folds import stratified_folds
from featstore.groups import Groups
from featstore.parts import Part, draw_validation, subset
from featstore.store import FeatureStore


@dataclass(frozen=True, eq=False)
class Division:
    """Rows that a probe is fitted on, and others that it is scored on.

    Attributes
    ----------
    fit, held_out
        The two parts.
    repeat, fold
        Which draw, and which of its folds.
    """

    fit: Part
    held_out: Part
    repeat: int = 0
    fold: int = 0


def drawn_shares(
    store: FeatureStore,
    part: Part,
    *,
    fraction: float,
    seed: int,
    repeats: int = 1,
    groups: Groups | None = None,
) -> list[Division]:
    """Set a stratified share of the rows aside, once or several times; see `draw_validation`."""
    divisions = []
    for repeat in range(repeats):
        chosen = draw_validation(part.labels, fraction, seed + repeat, groups=codes(part, groups))
        divisions.append(_division(store, part, chosen, repeat=repeat))
    return divisions


def k_folds(
    store: FeatureStore,
    part: Part,
    *,
    folds: int,
    seed: int,
    repeats: int = 1,
    groups: Groups | None = None,
) -> list[Division]:
    """Set each fold aside in turn, for one draw of folds or several; see `stratified_folds`."""
    divisions = []
    for repeat in range(repeats):
        fold_of = stratified_folds(
            part.labels, folds, seed=seed + repeat, groups=codes(part, groups)
        )
        divisions += [
            _division(store, part, fold_of == fold, repeat=repeat, fold=fold)
            for fold in range(folds)
        ]
    return divisions


def codes(part: Part, groups: Groups | None) -> NDArray[np.integer] | None:
    """Return the group of each row of a part, or None."""
    return None if groups is None else groups.of_rows(part.view.rows)


def _division(
    store: FeatureStore, part: Part, chosen: NDArray[np.bool_], *, repeat: int, fold: int = 0
) -> Division:
    return Division(subset(store, part, ~chosen), subset(store, part, chosen), repeat, fold)
