"""safetensors: one file, one tensor.

Read by way of its mapped torch tensor, which NumPy shares: that is several times faster than the
library's own NumPy functions, which copy and cannot gather rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from store_formats.durable import flush
from store_formats.mapped import MappedReader


class Safetensors:
    """One tensor in one file."""

    name = "safetensors"
    packages = ("safetensors", "torch")
    most_rows = None

    def prepare(self, path: Path, X: NDArray[Any]) -> None:
        pass

    def write(self, path: Path, X: NDArray[Any]) -> None:
        save_file({"X": X}, path / "values.safetensors")
        flush(path / "values.safetensors")

    def open(self, path: Path) -> MappedReader:
        with safe_open(path / "values.safetensors", framework="pt") as file:
            return MappedReader(file.get_tensor("X").numpy())


FORMAT = Safetensors()
