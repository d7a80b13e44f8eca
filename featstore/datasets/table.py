"""Image tables: a CSV or Parquet file with a path, a split and any number of label columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from featstore.datasets.image_files import file_sizes
from featstore.datasets.label_columns import is_label, label_sets, labels, numbers
from featstore.errors import InvalidInputError
from featstore.holdout import HoldOut
from featstore.samples import Samples
from featstore.splits import canonical_split
from featstore.suggest import did_you_mean

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class ImageTable:
    """Images listed in a table; made by `ImageTable.read`.

    Attributes
    ----------
    root
        Folder that the paths are relative to.
    samples, source
        See `featstore.dataset.Dataset`.
    """

    SUFFIXES: ClassVar = (".csv", ".tsv", ".parquet", ".pq")

    root: Path
    samples: Samples
    source: Mapping[str, Any]

    @classmethod
    def read(
        cls,
        table: str | Path,
        *,
        root: str | Path | None = None,
        path_column: str = "path",
        split_column: str = "split",
        targets: Sequence[str] | None = None,
        multilabel: Sequence[str] = (),
        separator: str = ";",
        missing_labels: Literal["raise", "keep"] = "raise",
        weight_column: str | None = None,
        hold_out: HoldOut | None = HoldOut(),
    ) -> ImageTable:
        """Read a CSV (``.csv``, ``.tsv``) or Parquet (``.parquet``) table.

        Parameters
        ----------
        table
            The file.
        root
            Folder that paths are relative to; the table's own folder by default.
        path_column, split_column
            Column of the image paths, which become the ids, and of the splits (optional).
        targets
            Label columns; by default every other column, except numbers with a fraction, columns
            with another value in every row, and columns without a name.
        multilabel
            Targets whose cells hold several labels, or none.
        separator
            Between the labels of a multi-label cell.
        missing_labels
            Whether an empty cell of a single-label target is an error or an unlabelled sample.
        weight_column
            Numbers that say how much each sample counts; see `featstore.samples.Samples`.
        hold_out
            Draws a test split where the table has no split column.  The column that it keeps groups
            of together must be a target.

        Raises
        ------
        InvalidInputError
            If the table or a column is missing, cells are empty, files do not exist, or weights
            are no numbers.
        """
        table = Path(table)
        if not separator:
            raise InvalidInputError("the separator of multi-label cells cannot be empty")
        frame = _read(table)
        if path_column not in frame:
            raise InvalidInputError(
                f"{table} has no column {path_column!r} for the image paths; name it with "
                f"--path-column. {did_you_mean(path_column, map(str, frame.columns))}"
            )
        if frame.empty:
            raise InvalidInputError(f"{table} has no rows")
        ids = np.asarray(frame[path_column].astype(str).tolist())
        folder = Path(root) if root is not None else table.parent
        marks = file_sizes(
            folder,
            ids.tolist(),
            listed_in="the table",
            hint="give the folder the paths are relative to with --root",
        )
        splits = np.full(len(ids), "")
        if split_column in frame:
            given = frame[split_column].fillna("").astype(str)
            splits = np.asarray([canonical_split(name) for name in given])
        taken = {path_column, split_column, *([] if weight_column is None else [weight_column])}
        names = _target_columns(frame, table, targets, multilabel, taken)
        columns = {
            name: label_sets(frame[name], separator=separator)
            if name in multilabel
            else labels(frame[name], listed_in=table, missing=missing_labels, first_line=2)
            for name in names
        }
        weights = None
        if weight_column is not None:
            weights = numbers(frame, weight_column, listed_in=table)
        samples = Samples(ids, splits, columns, marks, weights)
        options = {
            "path-column": path_column if path_column != "path" else None,
            "split-column": split_column if split_column != "split" else None,
            "target": list(targets) if targets is not None else None,
            "multilabel": list(multilabel) or None,
            "separator": separator if separator != ";" else None,
            "missing-labels": missing_labels if missing_labels != "raise" else None,
            "weight-column": weight_column,
            **(hold_out.options if hold_out is not None else {}),
        }
        source: dict[str, Any] = {
            "kind": "table",
            "table": str(table.resolve()),
            "root": str(folder.resolve()),
            "options": {key: value for key, value in options.items() if value is not None},
        }
        if not samples.split_names and hold_out is not None:
            samples = hold_out.draw(samples)
            source["split"] = str(hold_out)
        return cls(folder, samples, source)

    def image(self, row: int) -> Path:
        """Return the file of a row."""
        return self.root / str(self.samples.ids[row])


def _read(table: Path) -> pd.DataFrame:
    import pandas as pd

    suffix = table.suffix.lower()
    try:
        if suffix in (".parquet", ".pq"):
            return pd.read_parquet(table)
        if suffix in (".csv", ".tsv"):
            # "NA" and "None" are names of countries and classes; only an empty cell is empty.
            return pd.read_csv(
                table,
                sep="\t" if suffix == ".tsv" else ",",
                dtype=str,
                keep_default_na=False,
                na_values=[""],
            )
    except FileNotFoundError:
        raise InvalidInputError(f"{table} does not exist") from None
    except (ValueError, OSError) as error:
        raise InvalidInputError(f"{table} cannot be read as a table: {error}") from error
    raise InvalidInputError(f"{table} is no table: a .csv, .tsv or .parquet file is needed")


def _target_columns(
    frame: pd.DataFrame,
    table: Path,
    targets: Sequence[str] | None,
    multilabel: Sequence[str],
    taken: set[str],
) -> list[str]:
    columns = [str(name) for name in frame.columns if name not in taken]
    if targets is None:
        names = [name for name in columns if name in multilabel or is_label(frame[name])]
    else:
        names = list(dict.fromkeys([*targets, *multilabel]))
    for name in [*names, *multilabel]:
        if name not in columns:
            raise InvalidInputError(
                f"{table} has no label column {name!r}. {did_you_mean(name, columns)}"
            )
    if not names:
        raise InvalidInputError(
            f"{table} has no label column beside {sorted(taken)}; add one, or name it with --target"
        )
    return names
