"""A table as wide as the terminal in which no cell is cut: long text folds, or rows take lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

#: A number, an interval or a short name: what is read at a glance is never folded.
_WHOLE = 16
#: What a folded column keeps at least.
_FOLDED = 12
_INDENT = 2
#: Where a line may end: behind spaces, and at a sign within a path or a name, not within a number.
_BREAK = re.compile(
    r"(?<=\s)(?=\S)|(?<=[A-Za-z0-9][/_=?&#])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9])(?=[/_][A-Za-z0-9])"
    r"|(?<=[A-Za-z0-9][+-])(?=[A-Za-z])|(?<=[A-Za-z0-9])(?=[.][A-Za-z])"
)


def fitted(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool], width: int | None
) -> RenderableType:
    """Lay cells out in a width; rich alone would squeeze the columns at the right to nothing.

    As little is given up as will do: space between the columns and columns without any text; then
    long text is folded, except in the first column, whose names are there to be copied; then each
    row takes a line for its name and further lines for the rest.

    Parameters
    ----------
    columns
        Headers, d of them.
    rows
        n rows of d cells, which are shown as they are: no markup.
    right
        Whether each column is flush right.
    width
        Characters; None for as many as it takes.

    Examples
    --------
    >>> from rich.console import Console
    >>> table = fitted(["run", "top1"], [["logistic-resnet50", "74 %"]], [False, True], 20)
    >>> Console(width=20).print(table)
    run
      top1
    ────────────────────
    logistic-resnet50
      74 %
    """
    natural = [
        max([cell_len(name), *(cell_len(row[j]) for row in rows)]) for j, name in enumerate(columns)
    ]
    if width is None or sum(natural) + 3 * len(natural) + 1 <= width:
        return _grid(columns, rows, right, natural, airy=True)
    kept = [j for j in range(len(columns)) if j == 0 or not rows or any(row[j] for row in rows)]
    columns, right = [columns[j] for j in kept], [right[j] for j in kept]
    natural = [natural[j] for j in kept]
    rows = [[row[j] for j in kept] for row in rows]
    widths = [natural[0], *_folded(natural[1:], right[1:], width - natural[0] - 2)]
    if _taken(widths) <= width:
        return _grid(columns, rows, right, widths, airy=False)
    widths = _folded(natural[1:], right[1:], width - _INDENT)
    return _stacked(columns, rows, right, widths, width)


def wrapped(text: str, width: int) -> str:
    """Break text that is too wide at spaces, or behind the signs within paths and names.

    Examples
    --------
    >>> print(wrapped("facebookresearch/dinov2, dinov2/eval/knn.py", 20))
    facebookresearch/
    dinov2, dinov2/eval/
    knn.py
    """
    if cell_len(text) <= width:
        return text
    lines = [""]
    for part in _BREAK.split(text):
        if lines[-1] and cell_len(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def _taken(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * len(widths)


def _folded(natural: Sequence[int], right: Sequence[bool], width: int) -> list[int]:
    """Fold the widest text again and again until all columns fit, or no more can be folded."""
    widths = list(natural)
    while _taken(widths) > width:
        long = [
            j for j, n in enumerate(natural) if n > _WHOLE and not right[j] and widths[j] > _FOLDED
        ]
        if not long:
            break
        widths[max(long, key=widths.__getitem__)] -= 1
    return widths


def _grid(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[bool],
    widths: Sequence[int],
    *,
    airy: bool,
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1) if airy else (0, 1, 0, 0), show_edge=airy)
    for name, flush, size in zip(columns, right, widths, strict=True):
        table.add_column(
            Text(name), justify="right" if flush else "left", width=size, overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(wrapped(*cell)) for cell in zip(row, widths, strict=True)))
    return table


def _stacked(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[bool],
    widths: Sequence[int],
    width: int,
) -> Group:
    """Show each row as its name and, below, its other cells on as few lines as they need."""
    lines: list[list[int]] = [[]]
    for j, size in enumerate(widths, start=1):
        if lines[-1] and _taken([widths[i - 1] for i in lines[-1]] + [size]) > width - _INDENT:
            lines.append([])
        lines[-1].append(j)

    def shown(row: Sequence[str], style: str) -> Iterator[RenderableType]:
        yield Text(row[0], style=style, overflow="fold")
        for line in lines:
            cells = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
            for j in line:
                size = min(widths[j - 1], width - _INDENT)
                cells.add_column(
                    justify="right" if right[j] else "left", width=size, overflow="fold"
                )
            cells.add_row(*(Text(wrapped(row[j], widths[j - 1]), style=style) for j in line))
            yield Padding(cells, (0, 0, 0, _INDENT))

    body = [part for row in rows for part in shown(row, "")]
    return Group(*shown(columns, "bold"), Rule(style=""), *body)
