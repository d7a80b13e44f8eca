"""Card of a curve over labels: few shots, or more and more labels."""

from __future__ import annotations

import pandas as pd

from featstore.cards.card import Card
from featstore.cards.fragment import Cell, fold, frame_table, table
from featstore.few_shot_result import FewShot
from featstore.numerals import percent, plural, span
from featstore.quantity_result import Quantity

SHOWN_FITS = 12


def headline(curve: FewShot | Quantity) -> str:
    """Say the first metric at both ends of the curve."""
    axis, noun = _axis(curve)
    summary = _first_metric(curve)
    ends = [summary.iloc[0], summary.iloc[-1]][: len(summary)]
    shown = " → ".join(f"{percent(end['mean'])} at {int(end[axis]):,}" for end in ends)
    config = curve.config
    return f"{config.name} · {config.probe}: {summary['metric'].iloc[0]} {shown} {noun}"


def card(curve: FewShot | Quantity) -> Card:
    """Show a curve; intervals are t intervals over draws, with these test rows."""
    axis, noun = _axis(curve)
    config, summary = curve.config, curve.summary
    known: dict[str, Cell] = {
        "target": config.target,
        "drawn from": config.train_split,
        "reported on": f"{config.test_split}, {plural(config.n_test, 'row')}",
        "protocol": config.preset,
        "scaling": config.scaling if config.scaling != "none" else "",
    }
    columns = (axis, "metric", "mean", "low", "high", "draws")
    rows: list[list[Cell]] = [
        [int(n), str(metric), percent(mean), span(low, high), int(draws)]
        for n, metric, mean, low, high, draws in zip(*(summary[c] for c in columns), strict=True)
    ]
    header = [noun, "metric", "mean", "95 % over draws", "draws"]
    made = curve.draws if isinstance(curve, FewShot) else curve.fits
    return Card(
        kind=type(curve).__name__,
        name=config.name,
        headline=headline(curve).split(": ", 1)[1],
        facts=known,
        parts=[
            table(header, rows),
            fold(f"{len(made):,} draws", frame_table(made, limit=SHOWN_FITS)),
        ],
    )


def _axis(curve: FewShot | Quantity) -> tuple[str, str]:
    return ("shots", "labels per class") if isinstance(curve, FewShot) else ("n", "labels")


def _first_metric(curve: FewShot | Quantity) -> pd.DataFrame:
    summary = curve.summary
    return summary[summary["metric"] == summary["metric"].iloc[0]]
