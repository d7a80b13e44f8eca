"""Gained: how gains are spread over classes, beside chance, and which groups of classes gain."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore import plots
from featstore.analysis.gains import Gains, gains
from featstore.analysis.group_gains import group_gains
from featstore.class_groups import ClassGroups
from featstore.decisions import Decisions, decided
from featstore.html_report.board import Board
from featstore.html_report.class_sizes import size_groups
from featstore.html_report.exhibit import Exhibit, Sheet, sheet
from featstore.html_report.figure import Figure, figure
from featstore.html_report.levels import covering_level
from featstore.html_report.numbers import hundredths
from featstore.numerals import p_value, percent, plural, points, points_span, span
from featstore.taxonomy import Taxonomy

FEWEST_CLASSES = 10
"""With fewer classes, shares of classes and ranks of classes say nothing."""

MOST_GROUPS = 24
"""Of a level; a coarser one is shown where it has more."""

_ALPHA = 0.05
_N_BOOT = 500
_N_SWAPS = 1999


def gained(
    board: Board,
    key: str,
    taxonomies: Sequence[Taxonomy],
    sizes: NDArray[np.intp] | None,
) -> Exhibit | None:
    """Spread what the classes gain between the reference and the best run over groups of them.

    Parameters
    ----------
    board
        The ranked runs.
    key
        The exhibit's anchor.
    taxonomies
        Those that cover the classes group them.
    sizes
        Training rows of each class, shape (c,), if known: few-shot classes against the others.

    Returns
    -------
    exhibit
        None for a single run, for a multi-label target, and where there are few classes and no
        groups of them.
    """
    if board.reference is None or board.predictions.multilabel:
        return None
    a, b = decided(board.reference.run.predictions), decided(board.predictions)
    groupings = _groupings(taxonomies, sizes, b)
    known = int((np.bincount(b.truth, minlength=b.n_classes) > 0).sum())
    if known < FEWEST_CLASSES and not groupings:
        return None
    told = [f"When {board.best.label} replaces {board.reference.label}:"]
    sheets = []
    if known >= FEWEST_CLASSES:
        none, equal = (gains(a, b, null=null, n_boot=_N_BOOT) for null in ("none", "equal"))
        told.append(_shares_sentence(none, equal, known))
        sheets.append(_shares(none, equal))
    figures = []
    for i, (groups, noun) in enumerate(groupings):
        found = group_gains(a, b, groups, n_boot=_N_BOOT, n_swaps=_N_SWAPS)
        found = found[found["n_classes"] > 0].sort_values("gain", ascending=False, kind="stable")
        told.append(_groups_sentence(found, noun))
        figures.append(_drawn(found, f"{key}-{i}", noun))
        sheets.append(_groups(found, groups.name, noun))
    return Exhibit(
        key=key,
        heading="Gains of classes",
        sentences=told,
        figures=figures,
        sheets=sheets,
        note=_NOTE + (_GROUP_NOTE if groupings else ""),
    )


_NOTE = (
    "Chance: in each row that exactly one run has right, a coin says which one; if all gained "
    "alike, it falls as often for the better run as over all rows. "
)
_GROUP_NOTE = (
    "Means count every class once. Intervals in brackets: other test rows of these classes; over "
    "classes: other classes of the kind. p by swapping outcomes, adjusted for the number of groups "
    "(Holm)."
)


def _groupings(
    taxonomies: Sequence[Taxonomy], sizes: NDArray[np.intp] | None, run: Decisions
) -> list[tuple[ClassGroups, str]]:
    """Group the classes, and say in words by what."""
    found = []
    for taxonomy in taxonomies:
        of = covering_level(taxonomy, run.classes)
        groups = None if of is None else _coarser(taxonomy, of, run.classes)
        if groups is not None:
            found.append((groups, f"groups by {groups.name}"))
    by_size = None if sizes is None else size_groups(sizes, run.classes)
    if by_size is not None:
        found.append((by_size, "groups by number of training rows"))
    return found


def _coarser(taxonomy: Taxonomy, of: str, classes: Sequence[str]) -> ClassGroups | None:
    """Group by the finest coarser level that has two groups at least, and not too many."""
    levels = taxonomy.levels
    for level in levels[levels.index(of) + 1 :]:
        groups = ClassGroups.from_taxonomy(taxonomy, level, classes, of=of)
        if 2 <= len(groups.groups) <= MOST_GROUPS:
            return groups
    return None


def _shares_sentence(none: Gains, equal: Gains, n: int) -> str:
    improved, _, harmed = none.shares.to_dict("records")
    told = (
        f"{percent(improved['share'])} of {plural(n, 'class')} gain and "
        f"{percent(harmed['share'])} lose; if no class differed, {percent(improved['null'])} would "
        "gain and as many lose by chance."
    )
    *_, of_equal = equal.shares.to_dict("records")
    if of_equal["share"] > of_equal["null_high"]:
        return f"{told} More lose than would if all gained alike: the classes differ."
    return f"{told} No more lose than would if all gained alike."


def _shares(none: Gains, equal: Gains) -> Sheet:
    rows = []
    for mine, other in zip(
        none.shares.to_dict("records"), equal.shares.to_dict("records"), strict=True
    ):
        rows.append(
            {
                "classes": mine["outcome"],
                "number": mine["n_classes"],
                "share %": _spanned(mine, "share", "low", "high"),
                "if no class differed %": _spanned(mine, "null", "null_low", "null_high"),
                "p": p_value(mine["p"]),
                "if all gained alike %": _spanned(other, "null", "null_low", "null_high"),
                "p (alike)": p_value(other["p"]),
            }
        )
    return sheet("All classes", pd.DataFrame(rows), text=["classes"])


def _groups_sentence(found: pd.DataFrame, noun: str) -> str:
    holds = found[found["p_holm"] <= _ALPHA]
    n = len(found)
    if holds.empty:
        return f"Of {n} {noun}, none gains or loses more than chance could."
    up, down = holds[holds["gain"] > 0], holds[holds["gain"] < 0]
    counts = " and ".join(
        f"{len(some)} {word if len(some) != 1 else word + 's'}"
        for some, word in ((up, "gain"), (down, "lose"))
        if len(some)
    )
    ends = [up.iloc[0]] if len(up) else []
    ends += [down.iloc[-1]] if len(down) else []
    shown = " and ".join(f"{one['group']} {points(one['gain'])} points" for one in ends)
    most = "" if len(holds) == len(ends) else "most of all "
    return f"Of {n} {noun}, {counts} beyond chance: {most}{shown}."


def _drawn(found: pd.DataFrame, key: str, noun: str) -> Figure:
    return figure(
        plots.group_gains(found, alpha=_ALPHA),
        key=key,
        caption=f"Mean gain of {noun}; filled: beyond chance. Thick: interval over test rows, "
        "thin: over classes",
    )


def _groups(found: pd.DataFrame, name: str, noun: str) -> Sheet:
    table = pd.DataFrame(
        {
            name: found["group"],
            "classes": found["n_classes"],
            "test rows": found["n"],
            "before %": found["value_a"].map(hundredths),
            "after %": found["value_b"].map(hundredths),
            "gain, points": [
                f"{points(row['gain'])} ({points_span(row['low'], row['high'])})"
                for row in found.to_dict("records")
            ],
            "over classes": [
                points_span(row["low_classes"], row["high_classes"])
                for row in found.to_dict("records")
            ],
            "p": found["p_holm"].map(p_value),
            "gain": found["improved"],
            "lose": found["harmed"],
        }
    )
    return sheet(f"{noun[0].upper()}{noun[1:]}", table, text=[name])


def _spanned(row: Mapping[Hashable, Any], value: str, low: str, high: str) -> str:
    return f"{hundredths(row[value])} ({span(row[low], row[high])})"
