"""Card of a comparison: what changes when one run replaces another, overall and per class."""

from __future__ import annotations

from featstore.analysis.compare import Comparison
from featstore.cards.card import Card
from featstore.cards.fragment import Cell, fold, table
from featstore.numerals import p_value, percent, plural, points, points_span

SHOWN_CLASSES = 5


def headline(found: Comparison) -> str:
    """Say both values, the difference and its interval."""
    return (
        f"{found.metric} {percent(found.value_a)} → {percent(found.value_b)}: "
        f"{points(found.difference)} points ({points_span(found.low, found.high)}) on "
        f"{plural(found.n_common, 'common row')}"
    )


def card(found: Comparison) -> Card:
    """Show a comparison."""
    known: dict[str, Cell] = {f"{100 * found.level:g} % interval": _says(found)}
    if found.p_exact is not None:
        known["only a is right"] = plural(found.only_a_right or 0, "row")
        known["only b is right"] = plural(found.only_b_right or 0, "row")
        p = p_value(found.p_exact)
        known["McNemar's test, exact"] = f"p {p}" if p.startswith("<") else f"p = {p}"
    known["classes"] = (
        f"{percent(found.share_improved)} gain, {percent(found.share_unchanged)} stay, "
        f"{percent(found.share_harmed)} lose"
    )
    left_out = found.n_only_a + found.n_only_b
    if left_out:
        known["left out"] = f"{plural(left_out, 'row')} that one run lacks"
    value = "accuracy" if found.metric == "top1" else "average_precision"
    changed = found.classes.dropna(subset="gain").sort_values("gain", ascending=False)
    rows: list[list[Cell]] = [
        [str(name), int(n), percent(a), percent(b), points(gain)]
        for name, n, a, b, gain in zip(
            *(changed[key] for key in ("class", "n", f"{value}_a", f"{value}_b", "gain")),
            strict=True,
        )
    ]
    if len(rows) > 2 * SHOWN_CLASSES:
        left = len(rows) - 2 * SHOWN_CLASSES
        middle: list[Cell] = [f"… {plural(left, 'class')} between", None, "", "", ""]
        rows = [*rows[:SHOWN_CLASSES], middle, *rows[-SHOWN_CLASSES:]]
    header = ["class", "rows", "a", "b", "points"]
    parts = [fold("classes, the largest gain first", table(header, rows), opened=True)]
    return Card("Comparison", "b replaces a", headline(found), facts=known, parts=parts)


def _says(found: Comparison) -> str:
    if not found.low <= found.high:
        return "none was computed"
    if found.low <= 0 <= found.high:
        return "includes 0: these rows cannot tell the two apart"
    return f"excludes 0: {'b' if found.low > 0 else 'a'} is better on these rows"
