"""FewShot: how well a probe does with few rows, over many draws of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from featstore.curve_config import CurveConfig
from featstore.displayed import Displayed
from featstore.result_document import result_document


@dataclass(frozen=True, kw_only=True)
class FewShotConfig(CurveConfig):
    """How a few-shot evaluation was made.

    Attributes
    ----------
    selected_on
        What chose the hyper-parameter: ``"fixed"``, other draws, or the probe's own rule.
    left_out
        Shots of the default, or of the preset, that most classes have too few rows for.
    short_classes
        Shots -> classes with fewer training rows, which gave all they have.
    """

    selected_on: str
    left_out: tuple[int, ...] = ()
    short_classes: Mapping[int, int] = field(default_factory=dict)

    @property
    def shortage(self) -> str:
        """What classes with few rows changed, in words; empty if nothing."""
        parts = []
        if self.short_classes:
            counts = ", ".join(f"{n} for {k}" for k, n in self.short_classes.items())
            parts.append(
                "classes with fewer training rows than shots give all they have (classes for "
                f"shots: {counts})"
            )
        if self.left_out:
            parts.append(
                f"shots {', '.join(map(str, self.left_out))} are left out: half of the classes or "
                "more have no more training rows than that"
            )
        return "; ".join(parts)


@dataclass(frozen=True, eq=False, repr=False)
class FewShot(Displayed):
    """Results of one probe on one (fused) feature.

    Attributes
    ----------
    config
        How they were made.
    values
        One row per draw and metric: feature, probe, shots, draw, metric, value.
    summary
        One row per number of shots and metric: feature, probe, shots, metric, mean over the draws;
        low, high, its 95 % t interval, which says what other draws of the training rows would
        change, with these test rows; test_low, test_high, a 95 % percentile bootstrap over the
        test rows with these draws (NaN for episodes, whose draws include the test rows); draws;
        chosen, the hyper-parameter (NaN where every fit took its own); unconverged, fits that did
        not reach their tolerance.
    selection
        What was tried to choose the hyper-parameter: shots, value, score, chosen; empty where it
        was fixed.
    draws
        What was drawn: shots, draw, n (rows), digest.
    provenance
        Machine and versions.
    """

    config: FewShotConfig
    values: pd.DataFrame
    summary: pd.DataFrame
    selection: pd.DataFrame
    draws: pd.DataFrame
    provenance: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Everything as one JSON-able document; NaN becomes null."""
        return result_document(self, ("summary", "values", "selection", "draws"))
