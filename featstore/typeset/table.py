"""Table: columns that render themselves as Markdown, LaTeX, CSV and a data frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from featstore.errors import InvalidInputError
from featstore.new_file import new_file
from featstore.typeset.column import Column, Intervals
from featstore.typeset.latex import floating, tabular
from featstore.typeset.markdown import escaped, markdown
from featstore.typeset.marks import RULE

SUFFIXES = (".md", ".tex", ".csv")


@dataclass(frozen=True)
class Table:
    """A table for a paper.

    Attributes
    ----------
    columns
        All with the same number of rows.
    title
        What it shows, in words.
    notes
        What a reader should know, e.g. what signs and intervals mean.
    rules
        Rows before which a line is drawn.

    Raises
    ------
    InvalidInputError
        If there are no columns, or some are longer than others.

    Examples
    --------
    >>> table = Table((Column(name="feature", values=("a", "b")),
    ...                Column(name="top-1", values=(0.701, 0.68), kind="share", best="highest")))
    >>> print(table.to_markdown(notes=False))
    | feature | top-1 |
    |---|--:|
    | a | **70.1** |
    | b | <u>68.0</u> |
    """

    columns: tuple[Column, ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    rules: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.columns:
            raise InvalidInputError("a table has at least one column")
        lengths = {column.name: len(column.values) for column in self.columns}
        if len(set(lengths.values())) > 1:
            raise InvalidInputError(f"columns have different numbers of rows: {lengths}")

    def __len__(self) -> int:
        """Rows."""
        return len(self.columns[0].values)

    def __str__(self) -> str:
        """Markdown."""
        return self.to_markdown()

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    @property
    def told(self) -> tuple[str, ...]:
        """What the marks mean, if there are any, and the notes."""
        marked = any(cell.mark for column in self.columns for cell in column.cells())
        return (*((RULE,) if marked else ()), *self.notes)

    def with_decimals(self, decimals: int) -> Table:
        """Return the table with other numbers of places behind the point of shares and points.

        Parameters
        ----------
        decimals
            Of percent.
        """
        if decimals < 0:
            raise InvalidInputError(f"places behind the point are 0 or more, got {decimals}")
        columns = tuple(
            dataclasses.replace(column, decimals=decimals)
            if column.kind in ("share", "points")
            else column
            for column in self.columns
        )
        return dataclasses.replace(self, columns=columns)

    def to_frame(self) -> pd.DataFrame:
        """Return unrounded values, one row per row; bounds in columns of their own.

        Columns are called as in the table; the bounds of ``top-1`` are ``top-1 low`` and
        ``top-1 high``, and what stands behind its values is ``top-1 sign``.
        """
        found: dict[str, Sequence[object]] = {}
        for column in self.columns:
            found[column.label] = list(column.values)
            if column.low and column.high:
                found[f"{column.label} low"] = list(column.low)
                found[f"{column.label} high"] = list(column.high)
            if any(column.signs):
                found[f"{column.label} sign"] = list(column.signs)
        return pd.DataFrame(found)

    def to_csv(self) -> str:
        """Return `to_frame` as CSV."""
        return self.to_frame().to_csv(index=False)

    def to_markdown(self, *, intervals: Intervals = "brackets", notes: bool = True) -> str:
        """Return GitHub's Markdown.

        Parameters
        ----------
        intervals
            How they are written, see `Intervals`.
        notes
            Whether title and notes stand around the table.
        """
        body = markdown(self.columns, intervals=intervals, rules=self.rules)
        if not notes:
            return body
        above = [f"**{escaped(self.title)}**"] if self.title else []
        return "\n\n".join([*above, body, *map(escaped, self.told)])

    def to_latex(
        self, *, intervals: Intervals = "pm", environment: bool = False, label: str | None = None
    ) -> str:
        r"""Return a ``tabular`` of booktabs.

        The document needs ``\usepackage{booktabs}`` and no other package.

        Parameters
        ----------
        intervals
            How they are written, see `Intervals`.
        environment
            Whether to put it into a ``table`` environment, title and notes as its caption.
        label
            Of this environment, for ``\ref``.
        """
        body = tabular(self.columns, intervals=intervals, rules=self.rules)
        needs = "% needs \\usepackage{booktabs}\n"
        if not environment:
            return needs + body
        caption = ". ".join(
            part[:1].upper() + part[1:] for part in (self.title, *self.told) if part
        )
        return needs + floating(body, caption=f"{caption}." if caption else "", label=label)

    def save(self, path: str | Path, *, intervals: Intervals | None = None) -> Path:
        """Write the table as its suffix says: ``.md``, ``.tex`` or ``.csv``.

        Parameters
        ----------
        path
            The file; one that is there is replaced.
        intervals
            In brackets in Markdown, after ± in LaTeX by default; CSV always has both bounds.

        Returns
        -------
        path
            Of the file.

        Raises
        ------
        InvalidInputError
            If it has another suffix.
        StorageError
            If the disk refuses; there is then no file, or the old one.
        """
        path = Path(path)
        if path.suffix == ".csv":
            text = self.to_csv()
        elif path.suffix == ".md":
            text = f"{self.to_markdown(intervals=intervals or 'brackets')}\n"
        elif path.suffix == ".tex":
            text = f"{self.to_latex(intervals=intervals or 'pm')}\n"
        else:
            raise InvalidInputError(f"{path} must end in {', '.join(SUFFIXES)}")
        with new_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return path
