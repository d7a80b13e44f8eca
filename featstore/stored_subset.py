"""How a subset lies in a store: its rows as a plain array, its recipe, seed and digest beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from featstore.columns import write_column
from featstore.errors import CorruptStoreError
from featstore.samples import Samples
from featstore.scratch_store import scratch_store
from featstore.subset import Subset


def save_subset(folder: Path, subset: Subset, samples: Samples) -> None:
    """Write a subset of `samples` into an empty folder, as a Zarr group."""
    import zarr

    group = zarr.create_group(scratch_store(folder), zarr_format=3)
    write_column(group, "rows", subset.rows.astype(np.int64))
    group.attrs["subset"] = {
        "recipe": dict(subset.recipe),
        "seed": subset.seed,
        "digest": subset.digest,
        "samples_digest": samples.digest,
    }


def load_subset(store: Any, samples: Samples) -> Subset:
    """Read what `save_subset` wrote.

    Parameters
    ----------
    store
        What zarr-python opens.
    samples
        Of the feature store that the subset is in.

    Raises
    ------
    CorruptStoreError
        If it is one of other samples, or its rows are none of theirs.
    """
    import zarr

    group: Any = zarr.open_group(store, mode="r")
    fields = group.attrs["subset"]
    rows = np.asarray(group["rows"][:]).astype(np.intp)
    if fields["samples_digest"] != samples.digest:
        raise CorruptStoreError(
            "the subset is one of other samples than the store has; remove it and draw it again"
        )
    inside = len(rows) == 0 or (rows[0] >= 0 and rows[-1] < len(samples))
    if not inside or (np.diff(rows) <= 0).any():
        raise CorruptStoreError(
            f"the subset's rows are not ascending rows of a store of {len(samples)} samples; "
            "remove it and draw it again"
        )
    return Subset(rows, fields["recipe"], fields["seed"], fields["digest"])


def is_genuine(subset: Subset, samples: Samples) -> bool:
    """Whether recipe, seed and the ids of the rows have the subset's digest."""
    again = Subset.of(subset.rows, samples.ids, recipe=subset.recipe, seed=subset.seed)
    return again.digest == subset.digest
