"""Card of a granularity gap: two runs at every level of a taxonomy."""

from __future__ import annotations

from featstore.analysis.granularity_gap import GranularityGap
from featstore.cards.card import Card
from featstore.cards.fragment import Cell, table
from featstore.numerals import percent, points, points_span


def headline(gap: GranularityGap) -> str:
    """Say where the gap opens."""
    return gap.finding


def card(gap: GranularityGap) -> Card:
    """Show a gap."""
    columns = ("level", "n_classes", "accuracy_a", "accuracy_b", "gap", "low", "high")
    rows: list[list[Cell]] = [
        [str(level), int(n), percent(a), percent(b), points(value), points_span(low, high)]
        for level, n, a, b, value, low, high in zip(
            *(gap.levels[name] for name in columns), strict=True
        )
    ]
    header = ["level", "classes", "a", "b", "b − a, points", f"{100 * gap.coverage:g} % interval"]
    return Card("GranularityGap", "", gap.finding, parts=[table(header, rows)])
