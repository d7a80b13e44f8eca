"""Levels: how the runs of a board fare along a taxonomy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from featstore import plots
from featstore.analysis.granularity import granularity
from featstore.html_report.board import Board, Entry, Estimate
from featstore.html_report.figure import Figure, figure
from featstore.plots.canvas import PALETTE
from featstore.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class Levels:
    """Accuracy of a board's runs at the levels of one taxonomy.

    Attributes
    ----------
    names, n_classes, chance
        Of the levels, coarsest first: name, classes, share of the most frequent class.
    rows
        Runs that are drawn, each with its accuracy per level.
    n_runs
        Runs of the board.
    curves
        The drawing.
    """

    names: list[str]
    n_classes: list[int]
    chance: list[float]
    rows: list[tuple[Entry, list[Estimate]]]
    n_runs: int
    curves: Figure


def covering_level(taxonomy: Taxonomy, classes: Sequence[str]) -> str | None:
    """Return the finest level that has all `classes` and a coarser level above it, or None.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"item": ["hat", "shirt"], "part": ["head", "body"]})
    >>> covering_level(Taxonomy.from_frame(frame), ["shirt", "hat"])
    'item'
    >>> covering_level(Taxonomy.from_frame(frame), ["head", "body"]) is None
    True
    """
    wanted = set(classes)
    covering = (level for level in taxonomy.levels[:-1] if wanted <= set(taxonomy.classes(level)))
    return next(covering, None)


def along(board: Board, taxonomies: Sequence[Taxonomy], key: str) -> list[Levels]:
    """Coarsen the best runs of a board along every taxonomy that covers its classes."""
    predictions = board.predictions
    if predictions.multilabel:
        return []
    found = []
    for i, taxonomy in enumerate(taxonomies):
        level = covering_level(taxonomy, predictions.classes)
        if level is not None:
            found.append(_levels(board, taxonomy, level, key=f"{key}-levels{i}"))
    return found


def _levels(board: Board, taxonomy: Taxonomy, level: str, *, key: str) -> Levels:
    # As many as have a colour of their own.
    drawn = board.entries[: len(PALETTE)]
    frames = [granularity(entry.run.predictions, taxonomy, of=level) for entry in drawn]
    labels = [entry.drawn_label.replace("\n", " ") for entry in drawn]
    coarse_first = frames[0].iloc[::-1]
    names = [str(name) for name in coarse_first["level"]]
    return Levels(
        names=names,
        n_classes=coarse_first["n_classes"].tolist(),
        chance=coarse_first["chance"].tolist(),
        rows=[(entry, _estimates(frame)) for entry, frame in zip(drawn, frames, strict=True)],
        n_runs=len(board.entries),
        curves=figure(
            plots.granularity(dict(zip(labels, frames, strict=True))),
            key=key,
            caption="Accuracy from coarse to fine: " + " → ".join(names),
        ),
    )


def _estimates(frame: pd.DataFrame) -> list[Estimate]:
    """Accuracy with its interval, level by level, the coarsest first."""
    table = frame[["accuracy", "low", "high"]].to_numpy(float)[::-1]
    return [Estimate(*row) for row in table.tolist()]
