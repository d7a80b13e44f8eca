"""Comparison: every run against every other, as a matrix of differences."""

from __future__ import annotations

from featstore.analysis.all_pairs import AllPairs
from featstore.many_runs import all_pairs
from featstore.metric_names import metric_name
from featstore.run_labels import Runs, named_runs
from featstore.typeset import Column, Table


def comparison(
    found: AllPairs | Runs, *, common: bool = False, n_boot: int = 1000, seed: int = 0
) -> Table:
    """Tabulate many runs and their differences, the best run on top.

    Parameters
    ----------
    found
        What `featstore.all_pairs` returned, or the runs, with labels if they are in a mapping.
    common
        Whether runs on different rows are compared on their common ones; only of runs.
    n_boot, seed
        Of the paired bootstrap; only of runs.

    Returns
    -------
    table
        Each run with its value in percent and its group (runs with a letter in common cannot be
        told apart), then how many points it is ahead of each run below, with the paired interval.
        An asterisk: different after adjustment for the number of pairs.

    Raises
    ------
    InvalidInputError
        As `featstore.all_pairs`.
    """
    if not isinstance(found, AllPairs):
        runs = named_runs(found)
        labels = {run.name: label for label, run in runs.items()}
        found = all_pairs(runs.values(), common=common, n_boot=n_boot, seed=seed)
    else:
        labels = {}
    order = list(found.runs["run"])
    pairs = found.pairs.set_index(["a", "b"])
    numbered = [f"{labels.get(name, name)} ({place})" for place, name in enumerate(order, 1)]
    columns = [
        Column(name="run", values=tuple(numbered)),
        Column(
            name=metric_name(found.metric),
            values=tuple(found.runs["value"].astype(float)),
            low=tuple(found.runs["low"].astype(float)),
            high=tuple(found.runs["high"].astype(float)),
            kind="share",
            best="highest",
        ),
        Column(name="group", values=tuple(found.runs["group"])),
    ]
    nothing = float("nan")
    for place, name in enumerate(order[1:], 2):
        # Runs are sorted, so the better one of a pair stands above the other.
        above = order[: place - 1]
        rows = [pairs.loc[(other, name)] if other in above else None for other in order]
        columns.append(
            Column(
                name=f"ahead of ({place})",
                values=tuple(None if row is None else float(row["difference"]) for row in rows),
                low=tuple(nothing if row is None else float(row["low"]) for row in rows),
                high=tuple(nothing if row is None else float(row["high"]) for row in rows),
                kind="points",
                signs=tuple("*" if row is not None and row["different"] else "" for row in rows),
                gap="",
            )
        )
    return Table(
        tuple(columns),
        title=f"{metric_name(found.metric)} in %, differences in points",
        notes=(
            f"intervals: {found.level:.0%} bootstrap over test rows, paired for differences",
            f"*: {found.rule}",
            "runs with a letter in common are not told apart",
        ),
    )
