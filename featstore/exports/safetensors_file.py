"""safetensors: ``features``, packed ids, and codes of splits and labels, written in batches.

The library's own writer wants all tensors in memory; the layout is a length, a JSON header and
the tensors' bytes, so it is written here piece by piece.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from featstore.exchange import KEY
from featstore.exports.sheet import Sheet
from featstore.new_file import new_file
from featstore.samples import UNLABELLED
from featstore.strings import pack

_DTYPES = {
    "float16": "F16",
    "float32": "F32",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "uint8": "U8",
}


def write(sheet: Sheet, path: Path) -> list[Path]:
    """Write one file; the document of `featstore.exchange` is in its metadata."""
    columns = {name: f"target.{name}" for name in sheet.targets}
    text, offsets = pack(sheet.ids)
    names = [name for name in dict.fromkeys(sheet.splits.tolist()) if name]
    code = {name: i for i, name in enumerate(names)}
    small = {
        "ids": text,
        "id_offsets": offsets.astype(np.int64),
        "split": np.asarray([code.get(s, UNLABELLED) for s in sheet.splits.tolist()], np.int16),
        **{
            columns[name]: target.codes.view(np.uint8) if target.kind == "multi" else target.codes
            for name, target in sheet.targets.items()
        },
    }
    described = {**json.loads(sheet.document(columns)), "splits": names}
    shapes: dict[str, tuple[tuple[int, ...], str]] = {
        "features": (sheet.shape, sheet.view.dtype.name),
        **{name: (array.shape, array.dtype.name) for name, array in small.items()},
    }
    with new_file(path) as temporary, temporary.open("wb") as file:
        file.write(_header(shapes, {KEY: json.dumps(described, ensure_ascii=False)}))
        for block in itertools.chain(sheet.blocks(), small.values()):
            file.write(np.ascontiguousarray(block).data)
    return [path]


def _header(shapes: dict[str, tuple[tuple[int, ...], str]], metadata: dict[str, str]) -> bytes:
    entries: dict[str, Any] = {"__metadata__": metadata}
    start = 0
    for name, (shape, dtype) in shapes.items():
        stop = start + int(np.prod(shape)) * np.dtype(dtype).itemsize
        entries[name] = {
            "dtype": _DTYPES[dtype],
            "shape": list(shape),
            "data_offsets": [start, stop],
        }
        start = stop
    text = json.dumps(entries, ensure_ascii=False).encode()
    # Tensors begin at a multiple of 8 bytes.
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
