"""Label columns: what the columns of a table say about images, as targets and weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.samples import Target
from featstore.suggest import did_you_mean

if TYPE_CHECKING:
    import pandas as pd


def is_label(column: pd.Series[Any]) -> bool:
    """Whether a column holds labels: neither measurements nor lists nor one name per row."""
    import pandas as pd

    if (
        str(column.name).startswith("Unnamed:")
        or column.map(lambda cell: isinstance(cell, list | dict | np.ndarray)).any()
    ):
        return False
    numbers = pd.to_numeric(column, errors="coerce")
    measured = bool(numbers.notna().all() and (numbers % 1 != 0).any())
    return not measured and not (len(column) > 2 and column.astype(str).is_unique)


def labels(
    column: pd.Series[Any], *, listed_in: str | Path, missing: str = "raise", first_line: int = 0
) -> Target:
    """Read a column with one label per row.

    Parameters
    ----------
    column
        Text or whole numbers; empty cells are missing labels.
    listed_in
        For the error: what the column is of.
    missing
        ``"raise"``, or ``"keep"`` to leave samples without a label unlabelled.
    first_line
        Number of the first row, for the error.

    Raises
    ------
    InvalidInputError
        If labels are missing, or all rows are of one class.
    """
    empty = column.isna() | (column.astype(str).str.strip() == "")
    if empty.any() and missing == "raise":
        rows = ", ".join(str(row + first_line) for row in np.flatnonzero(empty)[:5])
        raise InvalidInputError(
            f"{listed_in}: {int(empty.sum())} of {len(column)} rows have no label in column "
            f"{column.name!r} (lines {rows}{', …' if empty.sum() > 5 else ''}); fill them in, or "
            "keep them as unlabelled with --missing-labels keep"
        )
    target = Target.from_labels(
        [None if e else str(v).strip() for v, e in zip(column, empty, strict=True)]
    )
    if len(target.classes) < 2:
        raise InvalidInputError(
            f"{listed_in}: column {column.name!r} has one class only, {list(target.classes)}; a "
            "target needs at least two (choose the label columns with --target)"
        )
    return target


def label_sets(column: pd.Series[Any], *, separator: str = ";") -> Target:
    """Read a column with any number of labels per row: lists, or text with separators.

    Raises
    ------
    InvalidInputError
        If no row has a label.
    """
    target = Target.from_label_sets([_names(cell, separator) for cell in column])
    if not target.classes:
        raise InvalidInputError(f"no row has a label in column {column.name!r}")
    return target


def coded(codes: Sequence[int] | NDArray[np.integer], classes: Sequence[str]) -> Target:
    """Return a target of published class numbers, whose names are known.

    Classes keep the published order.  Negative numbers mean unlabelled.

    Raises
    ------
    InvalidInputError
        If a number has no name.

    Examples
    --------
    >>> coded([1, 0, -1], ["top", "bag"]).classes
    ('top', 'bag')
    """
    found = np.asarray(codes, np.int64)
    if found.size and found.max() >= len(classes):
        raise InvalidInputError(
            f"there is a class number {found.max()}, and names for {len(classes)} classes only"
        )
    return Target("single", tuple(map(str, classes)), np.maximum(found, -1).astype(np.int32))


def numbers(frame: pd.DataFrame, name: str, *, listed_in: str | Path) -> NDArray[np.float64]:
    """Read a column of numbers, shape (n,).

    Raises
    ------
    InvalidInputError
        If there is no such column, or a cell is no number.
    """
    import pandas as pd

    if name not in frame:
        raise InvalidInputError(
            f"{listed_in} has no column {name!r}. {did_you_mean(name, map(str, frame.columns))}"
        )
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64)
    if len(bad := np.flatnonzero(np.isnan(values))):
        raise InvalidInputError(
            f"{listed_in}: {len(bad)} of {len(values)} cells of column {name!r} are no numbers, "
            f"e.g. {frame[name].iloc[int(bad[0])]!r}"
        )
    return values


def _names(cell: object, separator: str) -> list[str]:
    """Labels of one cell: text with separators, or a list."""
    if isinstance(cell, list | tuple | np.ndarray):
        return [str(name) for name in cell]
    if not isinstance(cell, str):
        return []
    return [part.strip() for part in cell.split(separator) if part.strip()]
