"""ColumnFile: ids, splits or labels that lie in a file of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from featstore.errors import InvalidInputError
from featstore.imports.files import lines, readable
from featstore.suggest import did_you_mean

#: Suffixes that are understood.
SUFFIXES = (".txt", ".csv", ".tsv", ".json", ".npy", ".parquet", ".pt", ".pth")


def is_column_file(where: str) -> bool:
    """Whether ``FILE`` or ``FILE#COLUMN`` names a file that exists."""
    return Path(where.partition("#")[0]).is_file()


def read_column(where: str) -> Any:
    """Read one column.

    Parameters
    ----------
    where
        A text file with one entry per line, a JSON list, a NumPy or torch array, or a table
        (``.csv``, ``.tsv``, ``.parquet``); ``FILE#COLUMN`` names the column of a table that has
        several.

    Returns
    -------
    column
        An array or a list, one entry per row.

    Raises
    ------
    InvalidInputError
        If the file cannot be read, or has no such column.
    """
    name, _, column = where.partition("#")
    path = Path(name)
    suffix = path.suffix.lower()
    with readable(path, f"{suffix or 'text'} file"):
        if suffix in (".csv", ".tsv", ".parquet"):
            return _table_column(path, column)
        if suffix in (".txt", ""):
            return lines(path)
        if suffix == ".json":
            return _listed(json.loads(path.read_bytes()), where)
        if suffix == ".npy":
            return np.load(path)
        if suffix in (".pt", ".pth"):
            from featstore.imports.torch_files import load_column

            return load_column(path)
    raise InvalidInputError(f"{where} cannot be read as a column: known are {', '.join(SUFFIXES)}")


def _table_column(path: Path, column: str) -> Any:
    import pandas as pd

    if path.suffix.lower() == ".parquet":
        frame = pd.read_parquet(path)
    else:
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        # "NA" and "None" are names of countries and classes; only an empty cell is empty.
        frame = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
    names = [str(name) for name in frame.columns]
    if not column and len(names) > 1:
        raise InvalidInputError(
            f"{path} has {len(names)} columns; name one: '{path}#{names[0]}'. There are: "
            f"{', '.join(names)}"
        )
    column = column or names[0]
    if column not in names:
        raise InvalidInputError(f"{path} has no column {column!r}. {did_you_mean(column, names)}")
    return frame.iloc[:, names.index(column)].tolist()


def _listed(document: Any, where: str) -> list[Any]:
    if not isinstance(document, list):
        raise InvalidInputError(f"{where} holds a JSON {type(document).__name__}; a list is needed")
    return document
