"""Similarity: how alike every two features are."""

from __future__ import annotations

import pandas as pd

from featstore.errors import InvalidInputError
from featstore.suggest import did_you_mean
from featstore.typeset import Column, Table


def similarity(frame: pd.DataFrame, measure: str = "cka") -> Table:
    """Tabulate one measure of similarity between all features.

    Parameters
    ----------
    frame
        What `featstore.similarity` returned.
    measure
        Which of its measures.

    Returns
    -------
    table
        A row and a column for each feature.

    Raises
    ------
    InvalidInputError
        If the frame does not have the measure.

    Examples
    --------
    >>> frame = pd.DataFrame({"a": ["x", "x", "y", "y"], "b": ["x", "y", "x", "y"],
    ...                       "measure": "cka", "value": [1.0, 0.4, 0.4, 1.0]})
    >>> print(similarity(frame).to_markdown(notes=False))
    | feature | x | y |
    |---|--:|--:|
    | x |  | 0.40 |
    | y | 0.40 |  |
    """
    known = list(frame["measure"].unique())
    if measure not in known:
        raise InvalidInputError(
            f"the frame has no measure {measure!r}. {did_you_mean(measure, known)}"
        )
    values = frame[frame["measure"] == measure].set_index(["a", "b"])["value"]
    names = list(frame["a"].unique())
    columns = [
        Column(
            name=str(b),
            values=tuple(None if a == b else values.get((a, b)) for a in names),
            kind="number",
            decimals=2,
            gap="",
        )
        for b in names
    ]
    return Table(
        (Column(name="feature", values=tuple(names)), *columns), title=f"similarity: {measure}"
    )
