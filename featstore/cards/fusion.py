"""Card of a fusion table: what pairs gain over their better member, and the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pandas as pd

from featstore.cards.card import Card
from featstore.cards.fragment import Cell, fold, muted, table
from featstore.fusion_table import FusionTable
from featstore.numerals import percent, plural, points, points_span


def headline(found: FusionTable) -> str:
    """Count the verdicts."""
    verdicts = Counter(found.pairs["verdict"])
    told = ", ".join(f"{n:,} {verdict}" for verdict, n in verdicts.most_common())
    return f"{plural(len(found.pairs), 'pair')}: {told}" if told else "no pairs"


def card(found: FusionTable) -> Card:
    """Show a fusion table."""
    interval = f"{100 * found.level:g} % interval"
    rows: list[list[Cell]] = [
        [f"{a} + {b}", percent(one), percent(two), percent(both), points(gain), span, verdict]
        for a, b, one, two, both, gain, span, verdict in (
            (*row[:6], points_span(row[6], row[7]), row[8])
            for row in _columns(
                found.pairs,
                *("a", "b", "score_a", "score_b", "score", "gain", "low", "high", "verdict"),
            )
        )
    ]
    header = ["pair", "first", "second", "both", "points", interval, "verdict"]
    parts = [table(header, rows), muted(found.rule)]
    if len(found.controls):
        rows = [
            [f"{a} + {b}", control, int(dim), percent(score), points(over), points_span(low, high)]
            for a, b, control, dim, score, over, low, high in _columns(
                found.controls,
                *("a", "b", "control", "dim", "score", "over", "over_low", "over_high"),
            )
        ]
        header = ["pair", "control", "dim", "control alone", "pair − control", interval]
        parts.append(fold("controls of equal size", table(header, rows)))
    return Card("FusionTable", found.metric, headline(found), parts=parts)


def _columns(frame: pd.DataFrame, *names: str) -> Iterator[tuple[Any, ...]]:
    """Iterate over the rows of some columns."""
    return zip(*(frame[name] for name in names), strict=True)
