"""Quantity: how well a probe does with more and more training labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from featstore.analysis.crossing import Crossing, crossing
from featstore.analysis.doubling import doubling
from featstore.analysis.labels_needed import LabelsNeeded, labels_needed
from featstore.curve_config import CurveConfig
from featstore.displayed import Displayed
from featstore.errors import InvalidInputError
from featstore.result_document import result_document


@dataclass(frozen=True, kw_only=True)
class QuantityConfig(CurveConfig):
    """How a quantity curve was made.

    Attributes
    ----------
    n_train
        Labelled rows of the split drawn from.
    select, search, metric
        How each fit chose its hyper-parameter on its own labels, see
        `featstore.selection_plan.SelectionPlan`.
    """

    n_train: int
    select: str
    search: str
    metric: str


@dataclass(frozen=True, eq=False, repr=False)
class Quantity(Displayed):
    """Results of one probe on one (fused) feature.

    Attributes
    ----------
    config
        How they were made.
    values
        One row per draw and metric: feature, probe, n (labels drawn), draw, metric, value.
    summary
        One row per size and metric: feature, probe, n, metric, mean over draws; low, high, its
        95 % t interval, which says what other draws of the training rows would change, with these
        test rows; draws.  All labels can be drawn in one way: their bounds are NaN.
    fits
        One row per fit: n, draw, digest (of the subset), rows (fitted: those of the subset
        whose image could be read), chosen (hyper-parameter), converged.
    provenance
        Machine and versions.
    """

    config: QuantityConfig
    values: pd.DataFrame
    summary: pd.DataFrame
    fits: pd.DataFrame
    provenance: Mapping[str, Any]

    @property
    def metric(self) -> str:
        """The first metric of the results: top1, or mAP."""
        return str(self.values["metric"].iloc[0])

    @property
    def most(self) -> float:
        """Mean of that metric at the largest size: with all labels, unless they were left out."""
        return self._at_most(self.metric)

    def doubling(self, metric: str | None = None) -> pd.DataFrame:
        """Gain per doubling of the labels; see `featstore.analysis.doubling`."""
        return doubling(self.values, metric=metric or self.metric)

    def labels_needed(
        self,
        level: float | Quantity,
        *,
        metric: str | None = None,
        n_boot: int = 2000,
        seed: int = 0,
    ) -> LabelsNeeded:
        """How many labels reach a level; see `featstore.analysis.labels_needed`.

        Parameters
        ----------
        level
            A value of the metric, or another result: what that reaches at its largest size.
        metric
            Which one; the first of the results by default.
        n_boot, seed
            Resamples of the draws, and their seed.
        """
        metric = metric or self.metric
        if isinstance(level, Quantity):
            self._check_target(level)
            level = level._at_most(metric)
        return labels_needed(self.values, level, metric=metric, n_boot=n_boot, seed=seed)

    def crossing(
        self, other: Quantity, *, metric: str | None = None, n_boot: int = 2000, seed: int = 0
    ) -> Crossing:
        """Where this curve and another one cross; see `featstore.analysis.crossing`.

        Raises
        ------
        InvalidInputError
            If the two are of other targets, test splits or draws.
        """
        self._check_target(other)
        mine, theirs = (
            result.fits.set_index(["n", "draw"])["digest"].to_dict() for result in (self, other)
        )
        if any(mine[key] != theirs[key] for key in mine.keys() & theirs.keys()):
            raise InvalidInputError(
                f"{self.config.name} and {other.config.name} were fitted to other draws; evaluate "
                "both with the same seed on the same rows"
            )
        return crossing(
            self.values, other.values, metric=metric or self.metric, n_boot=n_boot, seed=seed
        )

    def to_json(self) -> dict[str, Any]:
        """Everything as one JSON-able document; NaN becomes null."""
        return result_document(self, ("summary", "values", "fits"))

    def _at_most(self, metric: str) -> float:
        chosen = self.summary[self.summary["metric"] == metric].sort_values("n")
        if chosen.empty:
            raise InvalidInputError(f"{self.config.name} was not evaluated by {metric!r}")
        return float(chosen["mean"].iloc[-1])

    def _check_target(self, other: Quantity) -> None:
        for what in ("target", "test_split"):
            mine, theirs = getattr(self.config, what), getattr(other.config, what)
            if mine != theirs:
                raise InvalidInputError(
                    f"results on {mine!r} and on {theirs!r} cannot be compared ({what})"
                )
