"""Card of all pairs: many runs ranked, with letters for what cannot be told apart."""

from __future__ import annotations

from featstore.analysis.all_pairs import AllPairs
from featstore.cards.card import Card
from featstore.cards.fragment import Cell, fold, muted, table
from featstore.numerals import p_value, percent, plural, points, points_span, span

SHOWN_PAIRS = 20


def headline(found: AllPairs) -> str:
    """Count runs, pairs, and the pairs that can be told apart."""
    apart = int(found.pairs["different"].sum())
    return (
        f"{plural(len(found.runs), 'run')} by {found.metric} on {plural(found.n, 'row')}: "
        f"{apart:,} of {plural(len(found.pairs), 'pair')} can be told apart"
    )


def card(found: AllPairs) -> Card:
    """Show all pairs."""
    runs, pairs = found.runs, found.pairs
    ranked: list[list[Cell]] = [
        [str(run), percent(value), span(low, high), str(group)]
        for run, value, low, high, group in zip(
            *(runs[name] for name in ("run", "value", "low", "high", "group")), strict=True
        )
    ]
    columns = ("a", "b", "difference", "low", "high", "p_adjusted", "different")
    compared: list[list[Cell]] = [
        [str(a), str(b), points(value), points_span(low, high), p_value(p), bool(different)]
        for a, b, value, low, high, p, different in zip(
            *(pairs[name] for name in columns), strict=True
        )
    ]
    left_out = len(compared) - SHOWN_PAIRS
    interval = f"{100 * found.level:g} % interval"
    return Card(
        kind="AllPairs",
        name="",
        headline=headline(found),
        parts=[
            table(["run", found.metric, interval, "group"], ranked),
            muted("runs with a letter in common cannot be told apart; " + found.rule),
            fold(
                plural(len(compared), "pair"),
                table(
                    ["a", "b", "points", interval, "adjusted p", "different"],
                    compared[:SHOWN_PAIRS],
                    more=f"… {left_out:,} more" if left_out > 0 else "",
                ),
            ),
        ],
    )
