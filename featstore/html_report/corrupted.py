"""Corrupted: what corrupted images cost the runs of a board."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping

import pandas as pd

from featstore import plots
from featstore.analysis.corruption_drop import corruption_drop
from featstore.html_report.board import Board, Entry
from featstore.html_report.exhibit import Exhibit, sheet
from featstore.html_report.figure import figure
from featstore.html_report.numbers import hundredths
from featstore.numerals import plural, points, points_span
from featstore.run_config import RunConfig


def corrupted(board: Board, key: str, corruptions: Mapping[str, str]) -> Exhibit | None:
    """Compare runs on clean images to the same probes reported on corrupted ones.

    Parameters
    ----------
    board
        The ranked runs.
    key
        The exhibit's anchor.
    corruptions
        Features of corrupted images -> label of the corruption.

    Returns
    -------
    exhibit
        None where no probe was reported on both.
    """
    clean = {
        _probe(entry.run.config): entry
        for entry in board.entries
        if not entry.run.config.test_features
    }
    others: dict[RunConfig, dict[str, Entry]] = defaultdict(dict)
    for entry in board.entries:
        names = {corruptions.get(name) for name in entry.run.config.test_features}
        label = next(iter(names), None)
        if len(names) == 1 and label is not None and _probe(entry.run.config) in clean:
            others[_probe(entry.run.config)][label] = entry
    if not others:
        return None
    drops, summaries = [], []
    for probe, entries in others.items():
        predictions = {label: entry.run.predictions for label, entry in sorted(entries.items())}
        found = corruption_drop(clean[probe].run.predictions, predictions)
        name = clean[probe].label
        drops.append(found.drops.assign(feature=name))
        summaries.append(found.summary.assign(feature=name))
    return drop_exhibit(key, pd.concat(drops), pd.concat(summaries), metric=board.metric)


def drop_exhibit(key: str, drops: pd.DataFrame, summary: pd.DataFrame, *, metric: str) -> Exhibit:
    """Show what corruptions cost.

    Parameters
    ----------
    key
        The exhibit's anchor.
    drops, summary
        Of `featstore.analysis.corruption_drop.CorruptionDrop`, with a column feature.
    metric
        What dropped.
    """
    mean = summary[summary["measure"] == "mean_drop"].sort_values("value", kind="stable")
    least = mean.iloc[0]
    worst = drops.sort_values("drop", ascending=False).iloc[0]
    n = drops["corruption"].nunique()
    table = pd.DataFrame(
        {
            "run": drops["feature"],
            "corruption": drops["corruption"],
            "corrupted %": drops["value"].map(hundredths),
            "drop, points": [
                f"{points(drop)} ({points_span(low, high)})"
                for drop, low, high in drops[["drop", "low", "high"]].to_numpy(float).tolist()
            ],
        }
    )
    return Exhibit(
        key=key,
        heading="Corruptions",
        sentences=[
            f"Over {plural(n, 'corruption')}, {least['feature']} loses "
            f"{points(least['value']).lstrip('+')} points on average "
            f"({points_span(least['low'], least['high'])})"
            + (", the least of all" if len(mean) > 1 else "")
            + f"; {worst['corruption']} costs {worst['feature']} most, "
            f"{points(worst['drop']).lstrip('+')} points."
        ],
        figures=[
            figure(
                plots.corruption_drop(drops, metric=metric),
                key=f"{key}-drop",
                caption="Decrease from clean to corrupted test images; the probe saw clean "
                "training images only",
            )
        ],
        sheets=[sheet("Drop by corruption", table, text=["run", "corruption"])],
        note="Paired bootstrap intervals over the test rows.",
    )


def _probe(config: RunConfig) -> RunConfig:
    """Leave out of a configuration what was reported on."""
    return dataclasses.replace(config, test_features=(), test_spec_digests=())
