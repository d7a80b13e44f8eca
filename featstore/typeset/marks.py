"""Marks: the best and the second best values of a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Best = Literal["highest", "lowest"]
Mark = Literal["best", "second", ""]

RULE = (
    "bold: best of the column; underlined: second best; values that read the same share their mark"
)


def marks(values: Sequence[float | None], best: Best) -> list[Mark]:
    """Mark the best and the second best of some values.

    Parameters
    ----------
    values
        As they are printed, so that what reads the same is marked the same; None for gaps.
    best
        Which end is the better one.

    Returns
    -------
    marks
        One per value.  All that tie for the best are best, and all with the next value are second,
        however many are best.  Where all values are equal there is nothing to mark.

    Examples
    --------
    >>> marks([70.1, 68.0, 70.1, None, 66.2], "highest")
    ['best', 'second', 'best', '', '']
    >>> marks([70.1, 70.1], "highest")
    ['', '']
    """
    places = sorted({value for value in values if value is not None}, reverse=best == "highest")
    if len(places) < 2:
        return [""] * len(values)
    names: dict[float | None, Mark] = {places[0]: "best", places[1]: "second"}
    return [names.get(value, "") for value in values]
