"""Followed: whether the classes that are hard for one run are hard for the other."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from featstore import plots
from featstore.analysis.difficulty import Difficulty, difficulty
from featstore.decisions import decided
from featstore.html_report.board import Board
from featstore.html_report.exhibit import Exhibit, Sheet, sheet
from featstore.html_report.figure import Figure, figure
from featstore.html_report.gained import FEWEST_CLASSES
from featstore.html_report.numbers import hundredths
from featstore.numerals import NONE, percent, plural

_N_BOOT, _N_SPLITS = 200, 20


def followed(board: Board, key: str) -> Exhibit | None:
    """Follow the hardest and easiest classes from the reference to the best run and back.

    Parameters
    ----------
    board
        The ranked runs.
    key
        The exhibit's anchor.

    Returns
    -------
    exhibit
        None for a single run, for a multi-label target, where there are few classes, and where all
        have one accuracy.
    """
    if board.reference is None or board.predictions.multilabel:
        return None
    a, b = decided(board.reference.run.predictions), decided(board.predictions)
    if (np.bincount(b.truth, minlength=b.n_classes) > 0).sum() < FEWEST_CLASSES:
        return None
    found = difficulty(a, b, n_boot=_N_BOOT, n_splits=_N_SPLITS)
    if np.isnan(found.correlations["value"].iloc[0]):
        return None  # all classes are alike to one of the runs
    names = board.reference.label, board.best.label
    ends = found.ends.assign(run=found.ends["chosen_by"].map(dict(zip("ab", names, strict=True))))
    table = pd.DataFrame(
        {
            "chosen by": ends["run"],
            "classes": ends["end"] + " " + ends["n_classes"].astype(str),
            f"{names[0]} %": _elsewhere(ends, "a"),
            f"{names[1]} %": _elsewhere(ends, "b"),
            "also the other's %": ends["shared"].map(hundredths),
        }
    )
    return Exhibit(
        key=key,
        heading="Difficulty",
        sentences=_sentences(found, names),
        figures=[_drawn(found, key, chosen_by, names) for chosen_by in ("a", "b")],
        sheets=[
            _correlations(found),
            sheet("Hardest and easiest classes", table, text=["chosen by", "classes"]),
        ],
        note="Lines: classes among the hardest and the easiest 5 % of the run on the left. What is "
        "chosen by noisy accuracies moves towards the middle by itself; dashed, and first in the "
        "table: means on test rows that did not choose (in brackets: on all rows).",
    )


def _sentences(found: Difficulty, names: tuple[str, str]) -> list[str]:
    spearman, *_, last = found.correlations.to_dict("records")
    without_noise = float(last["value"])
    told = (
        f"Accuracies of {plural(found.n_classes, 'class')} under {names[0]} and {names[1]} have a "
        f"rank correlation of {_number(spearman['value'])} "
        f"({_number(spearman['low'])}–{_number(spearman['high'])})"
    )
    if without_noise >= 1:
        told += "; as far as their test rows can tell, the same classes are hard for both"
    elif not np.isnan(without_noise):
        told += f", and one of {without_noise:.2f} without the noise of the test rows"
    hardest = found.ends.to_dict("records")[0]
    if hardest["n_classes"] == 1:
        shared = f"Their hardest class is {'the same' if hardest['shared'] else 'not the same'}."
    else:
        shared = (
            f"{percent(hardest['shared'])} of the hardest classes of {names[0]} are among those of "
            f"{names[1]} too."
        )
    return [f"{told}.", shared]


_QUANTITIES = {
    "spearman": "rank correlation of the runs",
    "reliability_a": "of the first with itself, on other rows",
    "reliability_b": "of the second with itself, on other rows",
    "ceiling": "what equal difficulties would reach",
    "without_noise": "rank correlation without noise",
}


def _correlations(found: Difficulty) -> Sheet:
    frame = found.correlations
    table = pd.DataFrame(
        {
            "quantity": frame["quantity"].map(_QUANTITIES),
            "value": frame["value"].map(_number),
            "95 % interval": [
                NONE if np.isnan(low) else f"{low:.2f}–{high:.2f}"
                for low, high in frame[["low", "high"]].to_numpy(float).tolist()
            ],
        }
    )
    return sheet("Rank correlations of the classes", table, text=["quantity"])


def _number(value: float) -> str:
    return NONE if np.isnan(value) else f"{value:.2f}"


def _elsewhere(ends: pd.DataFrame, run: Literal["a", "b"]) -> list[str]:
    """Mean on rows that did not choose, and on all rows behind it."""
    values = ends[[f"other_rows_{run}", f"value_{run}"]].to_numpy(float).tolist()
    return [f"{hundredths(other)} ({hundredths(whole)})" for other, whole in values]


def _drawn(
    found: Difficulty, key: str, chosen_by: Literal["a", "b"], names: tuple[str, str]
) -> Figure:
    return figure(
        plots.difficulty(found, chosen_by=chosen_by, names=names),
        key=f"{key}-{chosen_by}",
        caption=f"Hardest (red) and easiest (blue) classes of {names['ab'.index(chosen_by)]}",
    )
