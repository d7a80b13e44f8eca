"""Granularity: runs against the levels of a taxonomy."""

from __future__ import annotations

from pathlib import Path

from featstore.analysis.level_hits import Rule
from featstore.level_frames import Levels, level_frames
from featstore.taxonomy import Taxonomy
from featstore.typeset import Column, Table


def granularity(
    runs: Levels,
    taxonomy: Taxonomy | str | Path | None = None,
    *,
    rule: Rule = "argmax",
    of: str | None = None,
    n_boot: int = 1000,
    seed: int = 0,
) -> Table:
    """Tabulate accuracy by level, the finest on the left.

    Parameters
    ----------
    runs, taxonomy, rule, of, n_boot, seed
        See `featstore.level_frames.level_frames`.

    Returns
    -------
    table
        A row for each run, a column for each level with its number of classes; values in percent,
        and in the last row what always answering the most frequent class gives.

    Raises
    ------
    InvalidInputError
        As `featstore.level_frames.level_frames`.

    References
    ----------
    Cole et al. (2022), When does contrastive visual representation learning work?, CVPR, Fig. 5.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"level": ["item", "part"], "n_classes": [10, 3],
    ...                       "accuracy": [0.7, 0.9], "low": [0.6, 0.8], "high": [0.8, 0.95],
    ...                       "chance": [0.1, 0.5]})
    >>> print(granularity({"dinov2": frame}).to_markdown(notes=False, intervals="none"))
    | run | item (10) | part (3) |
    |---|--:|--:|
    | dinov2 | 70.0 | 90.0 |
    |  |  |  |
    | most frequent class | 10.0 | 50.0 |
    """
    frames = level_frames(runs, taxonomy, rule=rule, of=of, n_boot=n_boot, seed=seed)
    first = next(iter(frames.values()))
    # Runs on different rows have different chances; then the row would be of one of them.
    chances = {tuple(frame["chance"]) for frame in frames.values()}
    chance, nothing = len(chances) == 1, float("nan")
    names = [*frames, *(["most frequent class"] if chance else [])]
    columns = [Column(name="run", values=tuple(names))]
    for place, (level, count) in enumerate(zip(first["level"], first["n_classes"], strict=True)):
        rows = [frame.iloc[place] for frame in frames.values()]
        last = [float(first["chance"].iloc[place])] * chance
        columns.append(
            Column(
                name=f"{level} ({count:,})",
                values=(*(float(row["accuracy"]) for row in rows), *last),
                low=(*(float(row["low"]) for row in rows), *[nothing] * chance),
                high=(*(float(row["high"]) for row in rows), *[nothing] * chance),
                kind="share",
                best="highest",
                unranked=(len(frames),),
            )
        )
    return Table(
        tuple(columns),
        title="top-1 in % by level and number of classes, never trained again",
        notes=("intervals: 95% bootstrap over test rows",),
        rules=(len(frames),) if chance else (),
    )
