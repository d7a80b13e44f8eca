"""Tables with a best and a second best in each column, as Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

_MARKDOWN = {"best": "**{}**", "second": "<u>{}</u>", "": "{}"}
_LATEX = {"best": r"\textbf{{{}}}", "second": r"\underline{{{}}}", "": "{}"}
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
    "°": r"$^\circ$",
    "–": "--",
}


def markdown_table(texts: pd.DataFrame, marks: pd.DataFrame, *, notes: Sequence[str] = ()) -> str:
    """Return a table as Markdown.

    Parameters
    ----------
    texts
        Cells as text; the first column is aligned to the left.
    marks
        ``"best"``, ``"second"`` or ``""`` for each cell.
    notes
        Paragraphs below.

    Examples
    --------
    >>> texts = pd.DataFrame({"feature": ["a", "b"], "top-1": ["70.1", "68.0"]})
    >>> marks = pd.DataFrame({"feature": ["", ""], "top-1": ["best", "second"]})
    >>> print(markdown_table(texts, marks))
    | feature | top-1 |
    |---|--:|
    | a | **70.1** |
    | b | <u>68.0</u> |
    """
    lines = [
        _row([_pipes(str(name)) for name in texts]),
        "|---|" + "--:|" * (texts.shape[1] - 1),
        *(_row(_marked(row, mark, _MARKDOWN, _pipes)) for row, mark in _rows(texts, marks)),
    ]
    return "\n\n".join(["\n".join(lines), *notes])


def latex_table(texts: pd.DataFrame, marks: pd.DataFrame) -> str:
    r"""Return a table as a LaTeX ``tabular``; it needs the package booktabs.

    Parameters
    ----------
    texts, marks
        See `markdown_table`.

    Examples
    --------
    >>> texts = pd.DataFrame({"feature": ["vit_small"], "top-1": ["70.1"]})
    >>> marks = pd.DataFrame({"feature": [""], "top-1": ["best"]})
    >>> print(latex_table(texts, marks).splitlines()[4])
    vit\_small & \textbf{70.1} \\
    """
    rows = [" & ".join(_marked(row, mark, _LATEX, _latex)) for row, mark in _rows(texts, marks)]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{l{'r' * (texts.shape[1] - 1)}}}",
            r"\toprule",
            " & ".join(_latex(str(name)) for name in texts) + r" \\",
            r"\midrule",
            *(rf"{row} \\" for row in rows),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _rows(texts: pd.DataFrame, marks: pd.DataFrame) -> list[tuple[list[str], list[str]]]:
    return list(zip(texts.astype(str).to_numpy().tolist(), marks.to_numpy().tolist(), strict=True))


def _marked(
    row: Sequence[str], marks: Sequence[str], forms: dict[str, str], escape: Callable[[str], str]
) -> list[str]:
    return [forms[mark].format(escape(text)) for text, mark in zip(row, marks, strict=True)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _pipes(text: str) -> str:
    return text.replace("|", r"\|")


def _latex(text: str) -> str:
    return "".join(_ESCAPES.get(letter, letter) for letter in text)
