"""The frames of a few-shot result: values, their means, and what was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from featstore.few_shot_result import FewShotConfig
from featstore.intervals import student_t
from featstore.trial import Trial

SUMMARY = (
    "feature",
    "probe",
    "shots",
    "metric",
    "mean",
    "low",
    "high",
    "test_low",
    "test_high",
    "draws",
    "chosen",
    "unconverged",
)


def values_frame(
    config: FewShotConfig, rows: Sequence[tuple[int, int, str, float]]
) -> pd.DataFrame:
    """One row per (shots, draw, metric, value), with feature and probe in front."""
    frame = pd.DataFrame(rows, columns=["shots", "draw", "metric", "value"])
    frame.insert(0, "feature", config.name)
    frame.insert(1, "probe", config.preset)
    return frame


def means_frame(
    values: pd.DataFrame, chosen: Mapping[int, float | None], unconverged: Mapping[int, int]
) -> pd.DataFrame:
    """Means over draws with their t intervals; those over test rows are NaN.

    Parameters
    ----------
    values
        From `values_frame`.
    chosen
        Shots -> hyper-parameter.
    unconverged
        Shots -> fits that did not reach their tolerance.
    """
    groups = values.groupby(["feature", "probe", "shots", "metric"], sort=False)["value"]
    rows = []
    for (feature, probe, k, metric), several in groups:
        shots = int(str(k))
        value = chosen[shots]
        rows.append(
            (
                feature,
                probe,
                shots,
                metric,
                *student_t(several, within=(0, 1)),
                np.nan,
                np.nan,
                len(several),
                np.nan if value is None else value,
                unconverged[shots],
            )
        )
    return pd.DataFrame(rows, columns=list(SUMMARY))


def selection_frame(
    trials: Mapping[int, Sequence[Trial]], chosen: Mapping[int, float | None]
) -> pd.DataFrame:
    """List what was tried for each number of shots, and whether it was taken."""
    rows = [
        (shots, trial.value, trial.score, trial.value == chosen[shots])
        for shots, tried in trials.items()
        for trial in tried
    ]
    return pd.DataFrame(rows, columns=["shots", "value", "score", "chosen"])
