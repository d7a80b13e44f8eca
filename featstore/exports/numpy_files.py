"""NumPy: ``.npy`` with its ids and labels in files beside it, and ``.npz`` archives."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format

from featstore.errors import InvalidInputError
from featstore.exchange import KEY
from featstore.exports.sheet import Sheet
from featstore.new_file import new_file


def write_npy(sheet: Sheet, path: Path) -> list[Path]:
    """Write ``X.npy``, ``X.ids.txt`` (one id per line) and ``X.json`` (splits, labels, spec)."""
    ids = sheet.ids.tolist()
    broken = [name for name in ids if len(name.splitlines()) != 1]
    if broken:
        raise InvalidInputError(
            f"{len(broken)} ids hold a line break and cannot be listed line by line, e.g. "
            f"{broken[0]!r}; export to .npz instead"
        )
    columns = {name: f"target.{name}" for name in sheet.targets}
    described = {
        KEY: json.loads(sheet.document(columns)),
        "columns": {
            "split": sheet.splits.tolist(),
            **{
                columns[name]: target.codes.astype(np.int32).tolist()
                for name, target in sheet.targets.items()
            },
        },
    }
    names, notes = path.with_suffix(".ids.txt"), path.with_suffix(".json")
    # The array comes last: where it is, the rest is.
    with new_file(names) as temporary:
        temporary.write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")
    with new_file(notes) as temporary:
        temporary.write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
    with new_file(path) as temporary:
        array = npy_format.open_memmap(temporary, "w+", sheet.view.dtype, sheet.shape)
        start = 0
        for block in sheet.blocks():
            array[start : start + len(block)] = block
            start += len(block)
        array.flush()
        del array
    return [path, names, notes]


def write_npz(sheet: Sheet, path: Path) -> list[Path]:
    """Write ``features``, ``ids``, ``split``, and ``target.NAME`` with class codes.

    The arrays are not compressed, as `numpy.savez` has it.
    """
    columns = {name: f"target.{name}" for name in sheet.targets}
    arrays: dict[str, Any] = {
        "ids": sheet.ids,
        "split": sheet.splits,
        **{columns[name]: _codes(target.codes) for name, target in sheet.targets.items()},
        **{f"classes.{n}": np.asarray(t.classes, str) for n, t in sheet.targets.items()},
        KEY: np.asarray(sheet.document(columns)),
    }
    with new_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        with archive.open("features.npy", "w", force_zip64=True) as member:
            _write_header(member, sheet)
            for block in sheet.blocks():
                member.write(block.data)
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy_format.write_array(member, np.asarray(array), allow_pickle=False)
    return [path]


def _write_header(member: IO[bytes], sheet: Sheet) -> None:
    described = {
        "descr": npy_format.dtype_to_descr(sheet.view.dtype),
        "fortran_order": False,
        "shape": sheet.shape,
    }
    npy_format.write_array_header_1_0(member, described)


def _codes(codes: Any) -> Any:
    return codes.view(np.uint8) if codes.dtype == bool else codes
