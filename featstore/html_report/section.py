"""Section: everything the page says about one board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from numpy.typing import NDArray

from featstore import plots
from featstore.analysis.compare import Comparison, compare
from featstore.analysis.confusion import confusion
from featstore.html_report.board import Board
from featstore.html_report.calibrated import calibrated
from featstore.html_report.corrupted import corrupted
from featstore.html_report.exhibit import Exhibit
from featstore.html_report.explorer import embedded, explorer
from featstore.html_report.figure import Figure, figure
from featstore.html_report.finding import findings
from featstore.html_report.followed import followed
from featstore.html_report.fused import fused
from featstore.html_report.gained import gained
from featstore.html_report.levels import Levels, along
from featstore.html_report.repeated import repeated
from featstore.html_report.selection import Selection, selections
from featstore.metric_names import metric_name
from featstore.numerals import plural
from featstore.plots.confusion import MATRIX_CLASSES
from featstore.plots.per_class import NAMED_CLASSES
from featstore.taxonomy import Taxonomy

LISTED_CLASSES = 2000
"""Up to here every class has a row in the table, beyond those that are hardest."""

HARDEST = 1000
PAIRS = 10
CHANGED = 10


@dataclass(frozen=True, eq=False)
class Section:
    """What the page says about one board.

    Attributes
    ----------
    key
        Unique in the page; begins the section's anchors.
    board
        The ranked runs.
    findings
        Sentences for the summary.
    majority
        Share of the most frequent class in the test rows; None if multi-label.
    metrics
        Metric columns: name in the runs' frames -> heading.
    leaderboard
        Runs, drawn.
    levels
        One for each taxonomy that covers the classes.
    classes, n_classes, n_unseen
        Rows of the table of classes, how many classes there are, and how many of them have no
        training rows.
    per_class
        Classes of the best run, drawn.
    pairs, confusion
        Most confused pairs of the best run, listed and drawn; None if multi-label.
    comparison, gains, improved, harmed
        The best run against the reference; None and empty for a single run.
    explorer
        What the page needs to compare any two runs, as JSON; empty for a single run.
    exhibits
        Further analyses that the stored runs allow: seeds and draws, gains of classes, difficulty,
        pairs of features, probabilities, corruptions.
    selections
        How C or k was chosen, run by run.
    """

    key: str
    board: Board
    findings: list[Markup]
    majority: float | None
    metrics: Mapping[str, str]
    leaderboard: Figure
    levels: list[Levels]
    classes: list[dict[str, Any]]
    n_classes: int
    n_unseen: int
    per_class: Figure
    pairs: list[dict[str, Any]]
    confusion: Figure | None
    comparison: Comparison | None
    gains: Figure | None
    improved: list[dict[str, Any]]
    harmed: list[dict[str, Any]]
    explorer: Markup
    exhibits: list[Exhibit]
    selections: list[Selection]

    @property
    def many(self) -> bool:
        """Whether there are too many classes for the figure to name each."""
        return self.n_classes > NAMED_CLASSES


def section(
    board: Board,
    key: str,
    taxonomies: Sequence[Taxonomy],
    *,
    corruptions: Mapping[str, str],
    sizes: NDArray[np.intp] | None = None,
) -> Section:
    """Analyse a board and draw its figures.

    Parameters
    ----------
    board
        The ranked runs.
    key
        Begins the section's anchors.
    taxonomies
        Those that do not cover the classes are passed over.
    corruptions
        Features of corrupted images -> label of the corruption.
    sizes
        Training rows of each class under the best run, shape (c,); None where that is not known.
    """
    best, predictions = board.best, board.predictions
    classes = best.run.per_class()
    pairs = pd.DataFrame() if predictions.multilabel else confusion(predictions)
    comparison = _comparison(board)
    luck = repeated(board, f"{key}-seeds")
    found = [set(entry.run.metrics["metric"]) for entry in board.entries]
    metrics = [name for name in best.run.metrics["metric"] if all(name in known for known in found)]
    return Section(
        key=key,
        board=board,
        findings=[*findings(board), *(escape(one) for one in luck.sentences[:1])]
        if luck
        else findings(board),
        majority=_majority(board),
        metrics={name: metric_name(name) for name in metrics},
        leaderboard=_leaderboard(board, key),
        levels=along(board, taxonomies, key),
        classes=_listed(classes),
        n_classes=len(classes),
        n_unseen=int((~predictions.seen).sum()),
        per_class=figure(
            plots.per_class(classes),
            key=f"{key}-classes",
            caption=f"Every class under {best.label}"
            + f", with 95 % {'bootstrap' if predictions.multilabel else 'Wilson'} intervals",
        ),
        pairs=_records(pairs.head(PAIRS)) if predictions.n_classes <= MATRIX_CLASSES else [],
        confusion=None
        if pairs.empty
        else figure(
            plots.confusion(predictions),
            key=f"{key}-confusion",
            caption=f"What the test rows of each class were taken for by {best.label}",
        ),
        comparison=comparison,
        gains=None if comparison is None else _gains(board, comparison, key),
        improved=_changed(comparison, 1),
        harmed=_changed(comparison, -1),
        explorer=Markup() if comparison is None else embedded(explorer(board)),
        exhibits=[
            exhibit
            for exhibit in (
                luck,
                gained(board, f"{key}-gains-of-classes", taxonomies, sizes),
                followed(board, f"{key}-difficulty"),
                fused(board, f"{key}-fusion"),
                calibrated(board, f"{key}-calibration"),
                corrupted(board, f"{key}-corruptions", corruptions),
            )
            if exhibit is not None
        ],
        selections=selections(board, key),
    )


def _leaderboard(board: Board, key: str) -> Figure:
    rows = []
    for entry in board.entries:
        rows.append({"name": entry.drawn_label, **entry.estimate(board.metric)._asdict()})
    n = plural(len(board.predictions), "test row")
    return figure(
        plots.leaderboard(pd.DataFrame(rows), metric=metric_name(board.metric)),
        key=f"{key}-leaderboard",
        caption=f"{metric_name(board.metric)} with 95 % bootstrap intervals over {n}",
    )


def _comparison(board: Board) -> Comparison | None:
    """Of the reference and the best, with the interval that the leaderboard shows."""
    if board.reference is None or board.reference.to_best is None:
        return None
    a, b = board.reference.run.predictions, board.best.run.predictions
    # Single-label classes have no intervals of their own.
    found = compare(a, b) if a.multilabel else compare(a, b, n_boot=0)
    change = board.reference.to_best
    return replace(found, low=change.low, high=change.high)


def _gains(board: Board, comparison: Comparison, key: str) -> Figure:
    other = "" if board.reference is None else board.reference.label
    return figure(
        plots.gain_curve(comparison),
        key=f"{key}-gains",
        caption=f"What each class gains when {board.best.label} replaces {other}",
    )


def _majority(board: Board) -> float | None:
    predictions = board.predictions
    if predictions.multilabel:
        return None
    counts = np.bincount(predictions.truth.astype(np.intp))
    return float(counts.max() / len(predictions))


def _listed(classes: pd.DataFrame) -> list[dict[str, Any]]:
    if len(classes) <= LISTED_CLASSES:
        return _records(classes)
    metric = "accuracy" if "accuracy" in classes else "average_precision"
    return _records(classes.nsmallest(HARDEST, metric))


def _changed(comparison: Comparison | None, sign: int) -> list[dict[str, Any]]:
    """Classes that gain most, or lose most; none that stay."""
    if comparison is None:
        return []
    most = comparison.most_improved if sign > 0 else comparison.most_harmed
    frame = most(CHANGED)
    return _records(frame[np.sign(frame["gain"]) == sign])


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False)]
