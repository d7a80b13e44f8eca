"""Calibrated: whether the probabilities of a board's runs hold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featstore import plots
from featstore.analysis.calibration import calibration_statistic
from featstore.analysis.reliability import reliability
from featstore.bootstrap import bootstrap
from featstore.errors import InvalidInputError
from featstore.html_report.board import Board, Entry
from featstore.html_report.exhibit import Exhibit, sheet
from featstore.html_report.figure import figure
from featstore.intervals import percentile
from featstore.numerals import percent, points, span
from featstore.plots.canvas import axes, ink
from featstore.predictions import Predictions

DRAWN = 3
"""Runs to show; more curves would hide each other."""

_BINS = 15
_N_BOOT = 200


def calibrated(board: Board, key: str) -> Exhibit | None:
    """Set what the best runs say against how often it comes true; nothing is fitted.

    Parameters
    ----------
    board
        The ranked runs; those that store no probabilities are passed over.
    key
        The exhibit's anchor.

    Returns
    -------
    exhibit
        None where no run has probabilities.
    """
    curves: dict[str, pd.DataFrame] = {}
    errors: list[dict[str, str]] = []
    ranked = [entry for entry in board.ranked if not entry.run.config.test_features]
    for entry in ranked:
        if len(curves) == DRAWN:
            break
        try:
            curves[entry.label] = reliability(entry.run.predictions, n_bins=_BINS)
            errors.append({"run": entry.label, **_errors(entry.run.predictions)})
        except InvalidInputError:
            continue
    if not curves:
        return None
    first = next(entry for entry in ranked if entry.label in curves)
    return Exhibit(
        key=key,
        heading="Calibration",
        sentences=[_sentence(first, curves[first.label])],
        figures=[
            figure(
                _drawn(curves),
                key=f"{key}-curve",
                caption="How often predictions come true, by how sure the probe is; on the dotted "
                "line the two agree, below it the probe is surer than it is right",
            )
        ],
        sheets=[
            sheet(
                "Calibration errors",
                pd.DataFrame(errors),
                text=["run"],
            )
        ],
        note="Probabilities as stored. ECE: mean distance between confidence and accuracy over "
        f"{_BINS} bins; in brackets 95 % bootstrap intervals ({_N_BOOT} resamples). "
        "featstore calibration shows what a temperature mends.",
    )


def _drawn(curves: Mapping[str, pd.DataFrame]) -> Axes:
    """Draw curves with their names below, which may be long."""
    stacked = pd.concat([curve.assign(scores=label) for label, curve in curves.items()])
    ax = plots.reliability(stacked, ax=axes(None, width=5.2, height=4.2 + 0.2 * len(curves)))
    ax.legend(
        loc="upper left", bbox_to_anchor=(0, -0.16), frameon=False, fontsize=9, labelcolor=ink()
    )
    return ax


def _sentence(entry: Entry, curve: pd.DataFrame) -> str:
    sure = float(np.average(curve["confidence"], weights=curve["n"]))
    right = float(np.average(curve["accuracy"], weights=curve["n"]))
    verdict = "surer than it is right" if sure > right else "less sure than it could be"
    return (
        f"{entry.label} gives its predictions {percent(sure)} on average, and {percent(right)} of "
        f"them come true: by {points(abs(sure - right)).lstrip('+')} points it is {verdict}."
    )


def _errors(predictions: Predictions) -> dict[str, str]:
    """Errors with their intervals, by what the table calls them."""
    statistic = calibration_statistic(predictions, n_bins=_BINS)
    values, samples = bootstrap(statistic, len(predictions), n_boot=_N_BOOT, seed=0)
    low, high = percentile(samples, level=0.95)
    found = {
        name: (float(value), float(least), float(most))
        for name, value, least, most in zip(
            ("ece", "ece_mass", "brier", "nll"), values, low, high, strict=True
        )
    }
    ece, ece_low, ece_high = found["ece"]
    return {
        "ECE, points": f"{100 * ece:.1f} ({span(ece_low, ece_high)})",
        "Brier score": "{:.3f} ({:.3f}–{:.3f})".format(*found["brier"]),
        "log loss": "{:.3f} ({:.3f}–{:.3f})".format(*found["nll"]),
    }
