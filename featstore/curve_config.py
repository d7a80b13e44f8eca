"""What evaluations over draws of training rows have in common: how they were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class CurveConfig:
    """How one probe was evaluated on one (fused) feature, over draws.

    Attributes
    ----------
    features, spec_digests, dims
        The feature blocks in order, what exactly they were, and their dimensions.
    target
        Label column.
    probe, preset, parameter
        Estimator, protocol, and the hyper-parameter.
    scaling
        Of the rows of each block.
    train_split, test_split
        Where rows are drawn from, and what is reported on.
    n_test
        Rows reported on: for episodes all that could be drawn.
    draws
        What was drawn: the fields of `ShotDraws`, `SizeDraws`, or `EpisodeDraws` for each number
        of shots.
    """

    features: tuple[str, ...]
    spec_digests: tuple[str, ...]
    dims: tuple[int, ...]
    target: str
    probe: str
    preset: str
    parameter: str
    scaling: str
    train_split: str
    test_split: str
    n_test: int
    draws: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The features, joined by plus signs."""
        return " + ".join(self.features)
