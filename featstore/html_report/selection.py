"""Selection: how the C or k of each run was chosen."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from featstore import plots
from featstore.html_report.board import Board, Entry
from featstore.html_report.figure import Figure, figure
from featstore.presets import PRESETS
from featstore.run_config import RunConfig

DRAWN = 9
"""Runs of a board whose curves are drawn; the others are told in words."""


@dataclass(frozen=True, eq=False)
class Selection:
    """How the C or k of one run was chosen.

    Attributes
    ----------
    entry
        The run.
    at_edge
        Whether the chosen value is the first or last that was tried.
    curve
        The validation metric along the values tried; None where the value was fixed, and for
        runs below the highest `DRAWN`.
    """

    entry: Entry
    at_edge: bool
    curve: Figure | None


def selections(board: Board, key: str) -> list[Selection]:
    """Show the choice of every run of a board, in the board's order."""
    return [
        _selection(entry, board, key=f"{key}-choice{i}" if i < DRAWN else None)
        for i, entry in enumerate(board.entries)
    ]


def _selection(entry: Entry, board: Board, *, key: str | None) -> Selection:
    config, tried = entry.run.config, entry.run.selection
    if len(tried) < 2 or key is None:
        return Selection(entry, at_edge=entry.run.at_edge, curve=None)
    metric = _metric(config, multilabel=board.metric == "mAP")
    # Early rounds of a halving had fewer rows, and their scores compare with each other only.
    final = tried[~(tried["rows"] < tried["rows"].max())]
    drawing = plots.selection_curve(
        final.rename(columns={"value": config.parameter, "score": metric}),
        parameter=config.parameter,
        metric=metric,
        chosen=config.value,
        scale="positions" if config.parameter == "head" else "log",
        ax=_small_axes(),
    )
    return Selection(
        entry,
        at_edge=entry.run.at_edge,
        curve=figure(drawing, key=key, caption=entry.label),
    )


def _small_axes() -> Axes:
    """Return axes for curves that stand side by side, all alike.

    Their margins are fixed: finding them for each curve takes as long as drawing it.
    """
    canvas = Canvas(figsize=(3.3, 2.4), facecolor="none")
    return canvas.add_axes((0.2, 0.2, 0.77, 0.67))


def _metric(config: RunConfig, *, multilabel: bool) -> str:
    """Name what was maximised; runs of earlier versions do not say."""
    preset = PRESETS.get(config.preset)
    usual = "mAP" if preset is None else preset.multilabel_metric
    metric = config.metric or (usual if multilabel else "top1")
    return "accuracy" if metric == "top1" else metric
