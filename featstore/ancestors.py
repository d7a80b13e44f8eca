"""The table of ancestors that a taxonomy is read from: one row per class, one column per level."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from featstore.errors import InvalidInputError

_NAMED = 5


def read_ancestors(path: str | Path) -> pd.DataFrame:
    """Read a CSV file with a header; all cells are text, also ``NA`` and ``007``.

    Raises
    ------
    InvalidInputError
        If the file is not comma-separated UTF-8, or rows differ in length from the header.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(f"{path} is no comma-separated UTF-8 table: {error}") from error
    if ragged := [row for row in rows if len(row) != len(header)]:
        raise InvalidInputError(
            f"{len(ragged)} rows of {path} have not the {len(header)} cells of its header "
            f"{header}; the first is {ragged[0]}"
        )
    return pd.DataFrame(rows, columns=header, dtype=str)


def ancestor_cells(frame: pd.DataFrame) -> tuple[tuple[str, ...], list[list[str]]]:
    """Take the cells as text without surrounding blanks.

    Parameters
    ----------
    frame
        First column the finest class, then its ancestors level by level.

    Returns
    -------
    levels
        Names of the columns.
    cells
        One list per level, one entry per row.

    Raises
    ------
    InvalidInputError
        If there are fewer than two columns or no rows, or a cell is blank.

    Examples
    --------
    >>> ancestor_cells(pd.DataFrame({"item": ["hat ", 7], "part": ["head", "body"]}))
    (('item', 'part'), [['hat', '7'], ['head', 'body']])
    """
    levels = tuple(str(column).strip() for column in frame.columns)
    if len(levels) < 2 or frame.empty:
        raise InvalidInputError(
            f"a table of {len(frame)} rows and columns {list(levels)} is no taxonomy: it needs "
            "a column of classes, then at least one of their ancestors, separated by commas"
        )
    cells = [
        ["" if missing else str(cell).strip() for cell, missing in zip(c, c.isna(), strict=True)]
        for _, c in frame.items()
    ]
    for level, column in zip(levels, cells, strict=True):
        if blank := [fine for fine, cell in zip(cells[0], column, strict=True) if not cell]:
            raise InvalidInputError(
                f"no {level!r} is given for {len(blank)} of {len(column)} classes: "
                f"{named(blank)}; every class needs an ancestor at every level"
            )
    return levels, cells


def named(names: Sequence[str]) -> str:
    """Quote the first few names, for an error message.

    Examples
    --------
    >>> print(named(["hat", "shoes"]))
    'hat', 'shoes'
    """
    listed = ", ".join(repr(name) for name in names[:_NAMED])
    return listed + (", ..." if len(names) > _NAMED else "")
