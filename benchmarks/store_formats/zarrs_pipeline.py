"""zarrs: zarr-python with the Rust codec pipeline."""

from __future__ import annotations

import zarrs

from store_formats.zarr_python import ZarrPython

FORMAT = ZarrPython(
    "zarrs",
    ("zarrs", "zarr"),
    f"{zarrs.ZarrsCodecPipeline.__module__}.{zarrs.ZarrsCodecPipeline.__qualname__}",
)
