"""Calibrated: whether the probabilities of a board's runs hold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featstore import plots
from featstore.analysis.calibration import calibration
from featstore.analysis.reliability import reliability
from featstore.errors import InvalidInputError
from featstore.html_report.board import Board, Entry
from featstore.html_report.exhibit import Exhibit, sheet
from featstore.html_report.figure import figure
from featstore.html_report.numbers import percent, points, span
from featstore.plots.canvas import INK, axes

DRAWN = 3
"""Runs to draw; more curves would hide each other."""

LISTED = 8
"""Runs to list."""

#: Columns of the table: of `featstore.analysis.calibration`, and what it is called here.
_MEASURES = {"ece": "ECE, points", "brier": "Brier score", "nll": "log loss"}
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
    measures: dict[str, pd.DataFrame] = {}
    ranked = [entry for entry in board.ranked if not entry.run.config.test_features]
    for entry in ranked:
        if len(curves) == LISTED:
            break
        try:
            curves[entry.label] = reliability(entry.run.predictions)
            measures[entry.label] = calibration(entry.run.predictions, n_boot=_N_BOOT)
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
                _drawn(dict(list(curves.items())[:DRAWN])),
                key=f"{key}-curve",
                caption="How often predictions come true, by how sure the probe is; on the dotted "
                "line the two agree, below it the probe is surer than it is right",
            )
        ],
        sheets=[
            sheet(
                "Calibration errors",
                pd.DataFrame(_row(label, found) for label, found in measures.items()),
                text=["run"],
            )
        ],
        note="Probabilities as stored. ECE: mean distance between confidence and accuracy over 15 "
        f"bins; in brackets 95 % bootstrap intervals ({_N_BOOT} resamples). featstore calibration "
        "shows what a temperature mends.",
    )


def _drawn(curves: Mapping[str, pd.DataFrame]) -> Axes:
    """Draw curves with their names below, which may be long."""
    stacked = pd.concat([curve.assign(scores=label) for label, curve in curves.items()])
    ax = plots.reliability(stacked, ax=axes(None, width=5.2, height=4.2 + 0.2 * len(curves)))
    ax.legend(
        loc="upper left", bbox_to_anchor=(0, -0.16), frameon=False, fontsize=9, labelcolor=INK
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


def _row(label: str, found: pd.DataFrame) -> dict[str, str]:
    rows = found.set_index("metric")
    row = {"run": label}
    for name, heading in _MEASURES.items():
        value, low, high = rows.loc[name, ["value", "low", "high"]].to_numpy(float)
        if name == "ece":
            row[heading] = f"{100 * value:.1f} ({span(low, high)})"
        else:
            row[heading] = f"{value:.3f} ({low:.3f}–{high:.3f})"
    return row
