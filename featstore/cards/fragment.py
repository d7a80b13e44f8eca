"""Fragments: the pieces of HTML that a card is made of.

All text is escaped.  Nothing is a script, and colours are those of the page around, so that cards
suit light and dark themes; where a page strips styles, tables and folds remain.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from featstore.numerals import NONE

Cell: TypeAlias = "str | float | bool | None"
"""What a table holds: text (`Markup` stays as it is) or a number."""

_NUMERAL = re.compile(r"[+−]?\d[\d.,–]*(\s%)?")
_LONG = 48
"""Letters beyond which a cell's text is broken into lines."""

STYLE = Markup(
    "<style>"
    ".featstore{border:1px solid rgba(128,128,128,.4);border-radius:6px;padding:.5em .9em;"
    "margin:.2em 0;max-width:58em;overflow-x:auto;font-size:13px;line-height:1.45}"
    ".featstore table{border-collapse:collapse;margin:.2em 0 .4em;border:0;"
    "font-variant-numeric:tabular-nums}"
    ".featstore tr,.featstore tr:nth-child(n):hover{background:none}"
    ".featstore th,.featstore td{padding:.1em .9em .1em 0;text-align:left;border:0;"
    "vertical-align:top;max-width:30em;color:inherit}"
    ".featstore th{font-weight:normal;opacity:.7}"
    ".featstore td.n,.featstore th.n{text-align:right}"
    ".featstore thead+tbody td:not(.w){white-space:nowrap}"
    ".featstore details{margin:.15em 0}.featstore details details{margin-left:1.1em}"
    ".featstore summary{cursor:pointer}"
    ".featstore .muted{opacity:.7}"
    ".featstore .warning{border-left:3px solid #d55e00;padding-left:.5em;margin:.2em 0}"
    ".featstore .bar{display:inline-block;height:.6em;background:#0072b2;opacity:.75}"
    "</style>"
)


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]], *, more: str = "") -> Markup:
    """Lay out rows; columns that hold numbers only are aligned to the right.

    Parameters
    ----------
    header
        Names of the columns.
    rows
        As many cells each.
    more
        What is said below of rows that were left out.

    Examples
    --------
    >>> print(table(["class", "n"], [["a < b", 2624]]))
    <table><thead><tr><th>class</th><th class="n">n</th></tr></thead><tbody><tr><td>a &lt; b</td><td
    class="n">2,624</td></tr></tbody></table>
    """
    cells = [list(row) for row in rows]
    kinds = [
        Markup(' class="n"') if all(_is_number(row[i]) for row in cells) and cells else Markup()
        for i in range(len(header))
    ]
    long = Markup(' class="w"')
    head = _joined(
        Markup("<th{}>{}</th>").format(kind, name) for kind, name in zip(kinds, header, strict=True)
    )
    body = _joined(
        Markup("<tr>{}</tr>").format(
            _joined(
                Markup("<td{}>{}</td>").format(long if _is_long(cell) else kind, text(cell))
                for kind, cell in zip(kinds, row, strict=True)
            )
        )
        for row in cells
    )
    laid = Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, body)
    return laid + (muted(more) if more else "")


def frame_table(frame: pd.DataFrame, *, limit: int) -> Markup:
    """Lay out the first rows of a frame, its index left out; the rest is counted.

    Examples
    --------
    >>> print(frame_table(pd.DataFrame({"k": [1, 20], "score": [0.5, 0.25]}), limit=1))
    <table>...<td class="n">0.5</td>...<div class="muted">… 1 more</div>
    """
    left_out = len(frame) - limit
    rows = frame.head(limit).astype(object).itertuples(index=False)
    return table(
        [str(name) for name in frame.columns],
        ([plain(value) for value in row] for row in rows),
        more=f"… {left_out:,} more" if left_out > 0 else "",
    )


def facts(pairs: Mapping[str, Cell]) -> Markup:
    """Lay out names and values; pairs whose value is empty are left out.

    Examples
    --------
    >>> print(facts({"rows": 2624, "corruption": ""}))
    <table><tbody><tr><th>rows</th><td>2,624</td></tr></tbody></table>
    """
    rows = _joined(
        Markup("<tr><th>{}</th><td>{}</td></tr>").format(name, text(value))
        for name, value in pairs.items()
        if value not in ("", None)
    )
    return Markup("<table><tbody>{}</tbody></table>").format(rows)


def fold(summary: str, body: str, *, opened: bool = False) -> Markup:
    """Hide what is not everybody's, behind a line that says what it is.

    Examples
    --------
    >>> print(fold("2 runs", "…"))
    <details><summary>2 runs</summary>…</details>
    """
    state = Markup(" open") if opened else Markup()
    return Markup("<details{}><summary>{}</summary>{}</details>").format(state, summary, body)


def muted(words: str) -> Markup:
    """Set a line in the background.

    Examples
    --------
    >>> print(muted("nothing yet"))
    <div class="muted">nothing yet</div>
    """
    return Markup('<div class="muted">{}</div>').format(words)


def bar(share: float) -> Markup:
    """Draw a share in [0, 1] as a bar.

    Examples
    --------
    >>> print(bar(0.5))
    <span class="bar" style="width:4.0em"></span>
    """
    return Markup('<span class="bar" style="width:{:.1f}em"></span>').format(8 * share)


def shortened(digest: str) -> Markup:
    """Show the first 12 letters of a digest, and all of it on hovering.

    Examples
    --------
    >>> print(shortened("0123456789abcdef"))
    <code title="0123456789abcdef">0123456789ab</code>
    """
    return Markup('<code title="{}">{}</code>').format(digest, digest[:12])


def text(value: Cell) -> str:
    """Write a cell: counts with thousands apart, four digits of other numbers, – for none.

    Examples
    --------
    >>> text(2624), text(0.71234), text(float("nan")), text(True), text("a")
    ('2,624', '0.7123', '–', 'yes', 'a')
    """
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return NONE if math.isnan(value) else f"{value:.4g}"
    return value


def plain(value: object) -> Cell:
    """Make a cell of anything: numbers of NumPy become Python's, all else text.

    Examples
    --------
    >>> plain(np.float32(0.5)), plain({"numpy": "2.4", "torch": "2.9"})
    (0.5, 'numpy 2.4, torch 2.9')
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text(plain(inner))}" for key, inner in value.items())
    known = value.item() if isinstance(value, np.generic) else value
    if known is None or known is pd.NA:
        return None
    return known if isinstance(known, str | bool | int | float) else str(known)


def _is_number(cell: Cell) -> bool:
    """Whether a cell is to be aligned to the right: a number, a numeral, or nothing."""
    if isinstance(cell, str):
        return cell in ("", NONE) or _NUMERAL.fullmatch(cell) is not None
    return not isinstance(cell, bool)


def _is_long(cell: Cell) -> bool:
    return isinstance(cell, str) and not isinstance(cell, Markup) and len(cell) > _LONG


def _joined(pieces: Iterable[str]) -> Markup:
    return Markup().join(escape(piece) for piece in pieces)
