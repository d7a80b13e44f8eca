"""Two stored runs side by side: gains of classes and groups, and whether difficulty is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from featstore.run import ProbeRun, check_targets

if TYPE_CHECKING:
    from featstore.analysis.difficulty import Difficulty
    from featstore.analysis.gains import Gains, Null
    from featstore.class_groups import ClassGroups


def gains(
    a: ProbeRun, b: ProbeRun, *, null: Null = "none", n_boot: int = 1000, seed: int = 0
) -> Gains:
    """Sort what classes gain, beside chance; see `featstore.analysis.gains.gains`.

    Raises
    ------
    InvalidInputError
        If the runs are of different targets.
    """
    from featstore.analysis.gains import gains as gains_of

    check_targets(a, b)
    return gains_of(a.predictions, b.predictions, null=null, n_boot=n_boot, seed=seed)


def group_gains(
    a: ProbeRun, b: ProbeRun, groups: ClassGroups, *, n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Average gains over groups of classes; see `featstore.analysis.group_gains.group_gains`.

    Raises
    ------
    InvalidInputError
        If the runs are of different targets.
    """
    from featstore.analysis.group_gains import group_gains as gains_of

    check_targets(a, b)
    return gains_of(a.predictions, b.predictions, groups, n_boot=n_boot, seed=seed)


def difficulty(
    a: ProbeRun, b: ProbeRun, *, share: float = 0.05, n_boot: int = 1000, seed: int = 0
) -> Difficulty:
    """Follow hard and easy classes; see `featstore.analysis.difficulty.difficulty`.

    Raises
    ------
    InvalidInputError
        If the runs are of different targets.
    """
    from featstore.analysis.difficulty import difficulty as difficulty_of

    check_targets(a, b)
    return difficulty_of(a.predictions, b.predictions, share=share, n_boot=n_boot, seed=seed)
