"""Column: the cells of one column of a table, and how they read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from featstore.errors import InvalidInputError
from featstore.typeset.marks import Best, Mark, marks

Kind = Literal["text", "share", "points", "number", "count"]
"""``"share"``: in [0, 1], printed in percent; ``"points"``: a difference of shares, with its sign;
``"number"``: as it is; ``"count"``: whole."""

Intervals = Literal["pm", "brackets", "none"]
"""``"pm"``: value ± half the width of the interval; ``"brackets"``: value [low, high]."""

GAP = "–"


@dataclass(frozen=True)
class Cell:
    """What stands in one cell, before any markup.

    Attributes
    ----------
    text
        The value, or words.
    half
        Half the width of its interval, as ``"pm"`` prints it; empty without an interval.
    low, high
        The interval; empty without one.
    sign
        Behind it, e.g. a dagger.
    mark
        Best or second best of its column.
    """

    text: str
    half: str = ""
    low: str = ""
    high: str = ""
    sign: str = ""
    mark: Mark = ""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name
        Its header.
    values
        One per row; None and NaN are gaps.
    kind
        See `Kind`.
    low, high
        Intervals of the values, in their unit; empty if there are none, NaN for single gaps.
    best
        Which values are marked: the ``"highest"``, the ``"lowest"``, or none.
    signs
        Behind each value; empty if there are none.
    group
        Header above this and neighbouring columns with the same one.
    decimals
        Places behind the point, of shares and points in percent.
    unranked
        Rows whose values are not among those that best is said of.
    gap
        What stands for a gap.

    Raises
    ------
    InvalidInputError
        If there is not one bound or sign for each value.

    Examples
    --------
    >>> column = Column(name="top-1", values=(0.701, 0.68), kind="share", low=(0.69, 0.67),
    ...                 high=(0.712, 0.691), best="highest")
    >>> column.cells()[0]
    Cell(text='70.1', half='1.1', low='69.0', high='71.2', sign='', mark='best')
    """

    name: str
    values: tuple[Any, ...]
    kind: Kind = "text"
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    best: Best | None = None
    signs: tuple[str, ...] = ()
    group: str = ""
    decimals: int = 1
    unranked: tuple[int, ...] = ()
    gap: str = GAP

    def __post_init__(self) -> None:
        if wrong := [
            what
            for what in ("low", "high", "signs")
            if getattr(self, what) and len(getattr(self, what)) != len(self.values)
        ]:
            raise InvalidInputError(
                f"column {self.name!r} has {len(self.values)} values and "
                f"{len(getattr(self, wrong[0]))} entries of {wrong[0]}; give one for each value"
            )

    @property
    def label(self) -> str:
        """Its header with that above it, in one line."""
        return f"{self.group}: {self.name}" if self.group else self.name

    def cells(self) -> list[Cell]:
        """Return the cells, one per row."""
        texts = [self._text(value, signed=self.kind == "points") for value in self.values]
        found: list[Mark] = [""] * len(texts)
        if self.best is not None:
            passed = {row for row, value in enumerate(self.values) if _is_gap(value)}
            passed.update(self.unranked)
            # As printed: what reads the same is marked the same.
            ranked = [
                None if row in passed else float(text.replace(",", ""))
                for row, text in enumerate(texts)
            ]
            found = marks(ranked, self.best)
        signs = self.signs or ("",) * len(texts)
        return [
            Cell(text, *self._interval(row), sign=sign, mark=mark)
            for row, (text, sign, mark) in enumerate(zip(texts, signs, found, strict=True))
        ]

    def _interval(self, row: int) -> tuple[str, str, str]:
        if not (self.low and self.high) or _is_gap(self.values[row]):
            return "", "", ""
        low, high = self.low[row], self.high[row]
        if _is_gap(low) or _is_gap(high):
            return "", "", ""
        signed = self.kind == "points"
        half = self._text((high - low) / 2, signed=False)
        return half, self._text(low, signed=signed), self._text(high, signed=signed)

    def _text(self, value: Any, *, signed: bool) -> str:
        if _is_gap(value):
            return self.gap
        if self.kind == "text":
            return str(value)
        if self.kind == "count":
            return f"{int(value):,}"
        scale = 1 if self.kind == "number" else 100
        text = f"{scale * float(value):{'+' if signed else ''}.{self.decimals}f}"
        # What rounds to nothing has no sign.
        return text[1:] if text[0] in "+-" and float(text) == 0 else text


def _is_gap(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
