"""Markdown of a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featstore.typeset.column import Cell, Column, Intervals

_FORMS = {"best": "**{}**", "second": "<u>{}</u>", "": "{}"}
_SPECIAL = re.compile(r"([\\`*|]|(?<![^\W_])_|_(?![^\W_]))")


def markdown(columns: Sequence[Column], *, intervals: Intervals, rules: Sequence[int]) -> str:
    """Return columns as a table of GitHub's Markdown.

    It has one line of headers and no rules within: headers above several columns are put before
    each of theirs, and a group of rows begins with an empty row.
    """
    cells = [column.cells() for column in columns]
    lines = [
        _row([escaped(column.label) for column in columns]),
        "|" + "".join("---|" if column.kind == "text" else "--:|" for column in columns),
    ]
    for place, row in enumerate(zip(*cells, strict=True)):
        if place in rules:
            lines.append(_row([""] * len(columns)))
        lines.append(_row([_cell(cell, intervals) for cell in row]))
    return "\n".join(lines)


def escaped(text: str) -> str:
    r"""Return text that Markdown shows as it is.

    Examples
    --------
    >>> print(escaped("vit_small|*"), escaped("_a_"), escaped("a<b"))
    vit_small\|\* \_a\_ a&lt;b
    """
    plain = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    return plain.replace("<", "&lt;")


def _cell(cell: Cell, intervals: Intervals) -> str:
    text = _FORMS[cell.mark].format(escaped(cell.text))
    if intervals == "pm" and cell.half:
        text += f" ± {cell.half}"
    elif intervals == "brackets" and cell.half:
        text += f" [{cell.low}, {cell.high}]"
    return f"{text} {cell.sign}" if cell.sign else text


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
