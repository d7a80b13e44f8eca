"""CSV: one line per sample, one column per number; for spreadsheets and small tools."""

from __future__ import annotations

import csv
from pathlib import Path

from featstore.exports.sheet import Sheet
from featstore.new_file import new_file
from featstore.samples import UNLABELLED, Target

_FIXED = ("id", "split")
#: Between the labels of one sample, as the tables that `featstore extract` reads have it.
_SEPARATOR = ";"


def write_csv(sheet: Sheet, path: Path) -> list[Path]:
    """Write id, split, a column per target with names of classes, then ``FEATURE.0`` and so on.

    Every number has the fewest digits that give back its bits in the stored precision.
    """
    columns = sheet.column_names(*_FIXED)
    names = [f"{block.name}.{i}" for block in sheet.view.blocks for i in range(block.shape[1])]
    ids, splits, start = sheet.ids, sheet.splits, 0
    with (
        new_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow([*_FIXED, *columns.values(), *names])
        for block in sheet.blocks():
            rows = slice(start, start + len(block))
            start = rows.stop
            labels = [_labels(target, rows) for target in sheet.targets.values()]
            known = zip(ids[rows].tolist(), splits[rows].tolist(), *labels, strict=True)
            # NumPy's shortest text of each precision; Python's would be that of doubles.
            values = block.astype(str).tolist()
            writer.writerows([*left, *right] for left, right in zip(known, values, strict=True))
    return [path]


def _labels(target: Target, rows: slice) -> list[str]:
    """Names of classes; empty for an unlabelled sample."""
    codes = target.codes[rows]
    if target.kind == "single":
        return ["" if code == UNLABELLED else target.classes[code] for code in codes.tolist()]
    return [
        _SEPARATOR.join(name for name, on in zip(target.classes, row, strict=True) if on)
        for row in codes.tolist()
    ]
