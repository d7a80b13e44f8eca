"""Contestants: the formats of this folder, loaded by name."""

from __future__ import annotations

import importlib

from store_formats.contract import Format

#: What every other format is compared with.
LIMIT = "numpy"
OURS = "featstore"

#: Name on the command line and in tables -> module; in the order of tables.
MODULES = {
    LIMIT: "numpy_files",
    OURS: "featstore_zarr",
    "safetensors": "safetensors_file",
    "Arrow IPC": "arrow_ipc",
    "HDF5": "hdf5_file",
    "Lance": "lance_dataset",
    "Parquet": "parquet_file",
    "tensorstore": "tensorstore_zarr",
    "zarrs": "zarrs_pipeline",
    "zarr-python": "zarr_python",
    ".pt per image": "torch_files",
}


def load(name: str) -> Format:
    """Import a format.

    Raises
    ------
    ImportError
        If its library is not installed.
    """
    module = importlib.import_module(f"store_formats.{MODULES[name]}")
    contestant: Format = module.FORMAT
    return contestant
