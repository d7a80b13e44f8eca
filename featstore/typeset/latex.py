r"""LaTeX of a table: a ``tabular`` of the package booktabs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featstore.typeset.column import Cell, Column, Intervals

_FORMS = {"best": r"\textbf{{{}}}", "second": r"\underline{{{}}}", "": "{}"}
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "''",
    "[": "{[}",  # behind \\ it would open an option
    "]": "{]}",
    "*": "{*}",
    "°": r"$^\circ$",
    "†": r"$^\dagger$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "→": r"$\rightarrow$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "α": r"$\alpha$",
    "λ": r"$\lambda$",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "…": r"\dots{}",
}


def tabular(columns: Sequence[Column], *, intervals: Intervals, rules: Sequence[int]) -> str:
    r"""Return columns as a ``tabular``; figures are those of the text's font.

    Examples
    --------
    >>> from featstore.typeset.column import Column
    >>> column = Column(name="a_b", values=(0.5, 0.4), kind="share", low=(0.4, 0.3),
    ...                 high=(0.6, 0.5), best="highest")
    >>> print(tabular([column], intervals="pm", rules=()).splitlines()[4])
    \textbf{50.0}$_{\pm 10.0}$ \\
    """
    kinds = "".join("l" if column.kind == "text" else "r" for column in columns)
    cells = [column.cells() for column in columns]
    lines = [rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", *_headers(columns), r"\midrule"]
    for place, row in enumerate(zip(*cells, strict=True)):
        if place in rules:
            lines.append(r"\midrule")
        lines.append(
            _row(
                [_cell(cell, column, intervals) for cell, column in zip(row, columns, strict=True)]
            )
        )
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def floating(body: str, *, caption: str, label: str | None) -> str:
    """Return a ``table`` environment around a ``tabular``, the caption above it."""
    lines = [r"\begin{table}[t]", r"\centering", rf"\caption{{{escaped(caption)}}}"]
    if label:
        lines.append(rf"\label{{{label}}}")
    return "\n".join([*lines, body, r"\end{table}"])


def escaped(text: str) -> str:
    r"""Return text that LaTeX prints as it is.

    Examples
    --------
    >>> print(escaped("vit_small & 5 %"), escaped("50–60"))
    vit\_small \& 5 \% 50--60
    """
    return "".join(_ESCAPES.get(letter, letter) for letter in " ".join(text.split()))


def _headers(columns: Sequence[Column]) -> list[str]:
    names = _row([escaped(column.name) for column in columns])
    if not any(column.group for column in columns):
        return [names]
    above, lines, place = [], [], 1
    for group, members in groupby(columns, key=lambda column: column.group):
        span = len(list(members))
        if group:
            above.append(rf"\multicolumn{{{span}}}{{c}}{{{escaped(group)}}}")
            lines.append(rf"\cmidrule(lr){{{place}-{place + span - 1}}}")
        else:
            above += [""] * span
        place += span
    return [_row(above), "".join(lines), names]


def _cell(cell: Cell, column: Column, intervals: Intervals) -> str:
    numeric = column.kind != "text"
    text = _FORMS[cell.mark].format(_number(cell.text) if numeric else escaped(cell.text))
    if cell.half and intervals == "pm":
        text += rf"$_{{\pm {cell.half}}}$"
    elif cell.half and intervals == "brackets":
        text += rf" {{\footnotesize [{_number(cell.low)}, {_number(cell.high)}]}}"
    sign = escaped(cell.sign)
    return text + (sign if sign.startswith("$^") else f" {sign}" if sign else "")


def _number(text: str) -> str:
    """Write a number, whose minus is no hyphen."""
    return text.replace("-", "$-$") if text[:1] == "-" else text.replace("–", "--")


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
