"""Card of a curve over labels: few shots, or more and more labels."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from featstore.cards.card import Card
from featstore.cards.fragment import Cell, fold, frame_table, table
from featstore.few_shot_result import FewShot
from featstore.numerals import percent, plural, span
from featstore.quantity_result import Quantity

SHOWN_FITS = 12


def headline(curve: FewShot | Quantity) -> str:
    """Say the feature, the probe, and the first metric at both ends of the curve."""
    return f"{curve.config.name} · {curve.config.probe}: {_ends(curve)}"


def card(curve: FewShot | Quantity) -> Card:
    """Show a curve; intervals are t intervals over draws, with these test rows."""
    axis, noun = _axis(curve)
    config, summary = curve.config, curve.summary
    known: dict[str, Cell] = {
        "target": config.target,
        "drawn from": config.train_split,
        "reported on": f"{config.test_split}, {plural(config.n_test, 'row')}",
        "probe": config.probe,
        "preset": config.preset if config.preset != config.probe else "",
        "scaling": config.scaling if config.scaling != "none" else "",
    }
    made = curve.draws if isinstance(curve, FewShot) else curve.fits
    return Card(
        kind=type(curve).__name__,
        name=config.name,
        headline=_ends(curve),
        facts=known,
        parts=[
            _means(summary, axis, noun),
            fold(
                plural(len(made), "draw"),
                frame_table(made.drop(columns="digest"), limit=SHOWN_FITS),
            ),
        ],
    )


def _means(summary: pd.DataFrame, axis: str, noun: str) -> Markup:
    """Lay out a row for each number of labels, a column for each metric."""
    metrics = [str(name) for name in summary["metric"].unique()]
    rows: list[list[Cell]] = []
    for n in summary[axis].unique():
        of_n = summary[summary[axis] == n]
        found = {
            str(name): percent(mean) + (f" ({span(low, high)})" if low <= high else "")
            for name, mean, low, high in zip(
                *(of_n[column] for column in ("metric", "mean", "low", "high")), strict=True
            )
        }
        rows.append([int(n), *(found.get(name) for name in metrics), int(of_n["draws"].iloc[0])])
    below = "mean and 95 % interval over draws of the training rows, with these test rows"
    return table([noun, *metrics, "draws"], rows, more=below)


def _axis(curve: FewShot | Quantity) -> tuple[str, str]:
    return ("shots", "labels per class") if isinstance(curve, FewShot) else ("n", "labels")


def _ends(curve: FewShot | Quantity) -> str:
    axis, noun = _axis(curve)
    metric = curve.summary["metric"].iloc[0]
    of_it = curve.summary[curve.summary["metric"] == metric]
    ends = [of_it.iloc[0], of_it.iloc[-1]][: len(of_it)]
    shown = " → ".join(f"{percent(end['mean'])} at {int(end[axis]):,}" for end in ends)
    return f"{metric} {shown} {noun}"
