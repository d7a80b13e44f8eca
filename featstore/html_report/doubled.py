"""Doubled: images that are nearly in two splits, from a result of `featstore duplicates`."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from featstore import plots
from featstore.html_report.exhibit import Exhibit, Sheet, sheet
from featstore.html_report.figure import figure
from featstore.html_report.numbers import hundredths
from featstore.numerals import percent, plural, points, points_span

LISTED = 20
"""Pairs in the table; the file has all."""


def duplicates_exhibit(key: str, document: dict[str, Any]) -> Exhibit:
    """Show near-duplicates, and what a run owes to them.

    Parameters
    ----------
    key
        The exhibit's anchor.
    document
        reference, searched, n_reference, n_searched, threshold, suggested, duplicates, pairs,
        nearest, effect: as `featstore duplicates` writes them.
    """
    reference, searched = document["reference"], document["searched"]
    n, of = document["duplicates"], document["n_searched"]
    where = f"within {reference}" if searched == reference else f"{searched} to {reference}"
    nearest = pd.DataFrame(document["nearest"])[["similarity"]].astype(float).assign(rows=where)
    suggested = document["suggested"]
    effect = pd.DataFrame(document["effect"] or [])
    return Exhibit(
        key=key,
        heading=f"Near-duplicates: {where}",
        sentences=[
            f"{n:,} of {plural(of, 'row')} of {searched} ({percent(n / of)}) "
            f"{'has' if n == 1 else 'have'} a near-duplicate in {reference} "
            f"({plural(document['n_reference'], 'row')}), at a cosine of "
            f"{document['threshold']:.4g} or more.",
            *_changes(effect),
        ],
        figures=[
            figure(
                plots.duplicates(
                    nearest,
                    threshold=document["threshold"],
                    suggested=math.nan if suggested is None else suggested,
                ),
                key=f"{key}-nearest",
                caption="Share of rows whose nearest row is at most so far away; copies are a step "
                "on the left",
            )
        ],
        sheets=[*_pairs(pd.DataFrame(document["pairs"])), *_effects(effect)],
        note="What counts as the same is what the features see as the same. At most "
        f"{LISTED} pairs are listed, the nearest first.",
    )


def _changes(effect: pd.DataFrame) -> list[str]:
    if effect.empty:
        return []
    first = effect.iloc[0]
    return [
        f"Without them {first['metric']} changes by {points(first['difference'])} points "
        f"({points_span(first['low'], first['high'])})."
    ]


def _pairs(pairs: pd.DataFrame) -> list[Sheet]:
    if pairs.empty:
        return []
    shown = pairs.head(LISTED)
    table = pd.DataFrame(
        {
            "id": shown["id"],
            "duplicate of": shown["duplicate_of"],
            "cosine": shown["similarity"].map("{:.4f}".format),
        }
    )
    if "label" in shown:
        table = table.assign(
            label=shown["label"], **{"label of the duplicate": shown["label_of_duplicate"]}
        )
    words = ["id", "duplicate of", "label", "label of the duplicate"]
    return [sheet("Pairs", table, text=words)]


def _effects(effect: pd.DataFrame) -> list[Sheet]:
    if effect.empty:
        return []
    bounds = effect[["difference", "low", "high"]].to_numpy(float).tolist()
    table = pd.DataFrame(
        {
            "metric": effect["metric"],
            "all rows %": effect["all"].map(hundredths),
            "without %": effect["without"].map(hundredths),
            "change, points": [
                f"{points(value)} ({points_span(low, high)})" for value, low, high in bounds
            ],
        }
    )
    return [sheet("The run without its duplicates", table, text=["metric"])]
