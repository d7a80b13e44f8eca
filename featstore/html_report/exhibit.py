"""Exhibit: one analysis on the page, as sentences, figures and tables."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import pandas as pd

from featstore.html_report.figure import Figure
from featstore.numerals import NONE


@dataclass(frozen=True)
class Sheet:
    """A table of texts.

    Attributes
    ----------
    title
        Above the table and for screen readers.
    columns
        Heading of each column, and whether it holds numbers.
    rows
        Cells as they are shown.
    """

    title: str
    columns: list[tuple[str, bool]]
    rows: list[list[str]]


@dataclass(frozen=True, eq=False)
class Exhibit:
    """One analysis on the page.

    Attributes
    ----------
    key
        Unique in the page; the anchor.
    heading
        What was analysed.
    sentences
        What was found, in words that need no figure.
    figures, sheets
        Drawings and tables.
    note
        How to read them.
    """

    key: str
    heading: str
    sentences: list[str]
    figures: list[Figure] = field(default_factory=list)
    sheets: list[Sheet] = field(default_factory=list)
    note: str = ""


def sheet(title: str, frame: pd.DataFrame, *, text: Collection[str]) -> Sheet:
    """Make a table of a frame whose cells are written already.

    Parameters
    ----------
    title
        Above the table.
    frame
        Texts and whole numbers.
    text
        Columns that hold words; numbers stand on the right.

    Examples
    --------
    >>> frame = pd.DataFrame({"feature": ["resnet50"], "rows": [1200]})
    >>> sheet("Features", frame, text=["feature"]).rows
    [['resnet50', '1,200']]
    """
    return Sheet(
        title=title,
        columns=[(str(name), name not in text) for name in frame],
        rows=[[_cell(value) for value in row] for row in frame.itertuples(index=False)],
    )


def _cell(value: object) -> str:
    if isinstance(value, str):
        return value
    return NONE if pd.isna(value) else f"{value:,}"  # type: ignore[call-overload]
