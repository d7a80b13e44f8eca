"""What a stored run said about its test rows, read without holding its scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from featstore.columns import read_columns
from featstore.decisions import Decisions, Outcomes
from featstore.run import ProbeRun
from featstore.strings import unpack
from featstore.validation import check_scores


def load_outcomes(store: Any) -> Outcomes:
    """Read what a saved run said, without the scores if it is single-label.

    Its scores are read a few rows at a time, and no more is kept of them than the decisions.

    Parameters
    ----------
    store
        A path, or another store of zarr-python.
    """
    import zarr

    group: Any = zarr.open_group(store, mode="r")
    if group["truth"].ndim == 2:
        return ProbeRun.load(store).predictions
    columns = read_columns(group, ("ids", "id_offsets", "truth", "seen"))
    scores, predicted = group["scores"], np.empty(len(columns["truth"]), np.intp)
    for start in range(0, len(predicted), scores.chunks[0]):
        rows = slice(start, start + scores.chunks[0])
        block = np.asarray(scores[rows])
        check_scores(block)
        predicted[rows] = block.argmax(axis=1)
    return Decisions(
        ids=unpack(columns["ids"], columns["id_offsets"]),
        classes=tuple(group.attrs["run"]["classes"]),
        truth=columns["truth"],
        predicted=predicted,
        seen=columns["seen"].astype(bool),
    )
