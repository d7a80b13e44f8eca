"""Level frames: runs, or what they say of the levels of a taxonomy, in one form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from featstore.analysis.level_hits import Rule
from featstore.errors import InvalidInputError
from featstore.run import ProbeRun
from featstore.run_labels import named_runs
from featstore.taxonomy import Taxonomy

Levels = ProbeRun | Mapping[str, ProbeRun] | Mapping[str, pd.DataFrame] | Iterable[ProbeRun]
"""Runs, or frames of `featstore.analysis.granularity` by name."""


def level_frames(
    runs: Levels,
    taxonomy: Taxonomy | str | Path | None = None,
    *,
    rule: Rule = "argmax",
    of: str | None = None,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict[str, pd.DataFrame]:
    """Coarsen runs, and check that all have the same levels.

    Parameters
    ----------
    runs
        One, several, several by name; or frames of `featstore.analysis.granularity` by name.
    taxonomy
        Of the runs, or a file of one; frames need none.
    rule, of, n_boot, seed
        See `featstore.analysis.granularity`.

    Raises
    ------
    InvalidInputError
        If there is nothing, runs come without a taxonomy, or levels or numbers of classes differ.
    """
    members = list(runs.items()) if isinstance(runs, Mapping) else []
    frames = {str(name): frame for name, frame in members if isinstance(frame, pd.DataFrame)}
    if isinstance(runs, Mapping) and not runs:
        raise InvalidInputError("no runs to show: pass runs, or {name: frame of granularity(...)}")
    if not members or len(frames) < len(members):
        if taxonomy is None:
            raise InvalidInputError(
                "runs are coarsened by a taxonomy: pass one, such as store.taxonomy(name) or a file"
            )
        named = named_runs(runs)  # type: ignore[arg-type]  # frames were told apart above
        frames = {
            name: run.granularity(taxonomy, rule=rule, of=of, n_boot=n_boot, seed=seed)
            for name, run in named.items()
        }
    scales = {
        name: list(zip(frame["level"], frame["n_classes"], strict=True))
        for name, frame in frames.items()
    }
    first, scale = next(iter(scales.items()))
    if other := [name for name, theirs in scales.items() if theirs != scale]:
        raise InvalidInputError(
            f"{other[0]!r} has other levels or numbers of classes than {first!r}: "
            f"{scales[other[0]]} and {scale}"
        )
    return frames
