"""What `featstore per-class --against` shows of two runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import pandas as pd

from featstore.cli.output import echo_note, echo_table, records, with_interval, write_figure
from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    from featstore.analysis import Comparison, Difficulty, Gains
    from featstore.class_groups import ClassGroups
    from featstore.decisions import Outcomes


def class_gains(
    a: tuple[str, Outcomes],
    b: tuple[str, Outcomes],
    groups: ClassGroups | None,
    *,
    group: str | None,
    limit: int,
    seed: int,
    plot: Path | None,
    shown: bool,
) -> dict[str, object]:
    """Compare run b to run a class by class, and show it if asked to; return a JSON document."""
    from featstore.analysis import changed_classes, compare, difficulty, gains, group_gains

    if a[1].multilabel:
        raise InvalidInputError(
            "--against compares runs with one class per row; `featstore compare` has the gains of "
            "multi-label runs"
        )
    within = None
    if groups is not None and group is not None:
        within = [b[1].classes[code] for code in groups.members(group)]
    comparison = compare(a[1], b[1], seed=seed)
    spread = {null: gains(a[1], b[1], null=null, seed=seed) for null in ("none", "equal")}
    lists = changed_classes(comparison, k=limit, within=within)
    kept = difficulty(a[1], b[1], seed=seed)
    document: dict[str, object] = {
        "against": a[0],
        "shares": {null: records(found.shares) for null, found in spread.items()},
        "classes": records(comparison.classes),
        "lists": records(lists),
        "difficulty": {
            "correlations": records(kept.correlations),
            "ends": records(kept.ends),
            "followed": records(kept.followed),
        },
    }
    by_group = None
    if groups is not None:
        by_group = group_gains(a[1], b[1], groups, seed=seed)
        document["groups"] = records(by_group)
    if plot is not None:
        from featstore import plots

        if by_group is not None:
            write_figure(plot, plots.group_gains(by_group))
        else:
            write_figure(plot, plots.gain_curve(comparison, chance=spread["none"]))
    if shown:
        click.echo(f"a: {a[0]}\nb: {b[0]}\n")
        _show_shares(spread["none"], spread["equal"])
        _show_lists(comparison, lists, group)
        _show_difficulty(kept)
        if by_group is not None:
            table = with_interval(by_group.drop(columns=["low_classes", "high_classes"]))
            rates = ["value_a", "value_b", "gain", "share_of_improved", "share_of_classes"]
            echo_table(table, title="groups: means over classes, Holm's test", percent=rates)
        if comparison.n_only_a or comparison.n_only_b:
            echo_note(
                f"compared on {comparison.n_common} common rows; {comparison.n_only_a} rows of a "
                f"and {comparison.n_only_b} of b were left out"
            )
    return document


def _show_shares(none: Gains, equal: Gains) -> None:
    table = with_interval(none.shares).drop(columns=["null_low", "null_high"])
    table = table.rename(columns={"null": "if no class differed"})
    table["if all gained alike"] = equal.shares["null"]
    table["p (alike)"] = equal.shares["p"]
    rates = ["share", "if no class differed", "if all gained alike"]
    echo_table(table, title="classes", percent=rates)


def _show_lists(comparison: Comparison, lists: pd.DataFrame, group: str | None) -> None:
    where = f" of {group}" if group else ""
    rates = ["before", "after", "gain"]
    for change in ("improved", "harmed"):
        for ranking, title in (
            ("gain", f"most {change}{where}, by size"),
            ("evidence", f"surely {change}{where}: q ≤ 0.05"),
        ):
            rows = lists[(lists["change"] == change) & (lists["ranking"] == ranking)]
            rows = rows.drop(columns=["change", "ranking"])
            if len(rows):
                echo_table(rows, title=title, percent=rates)
            else:
                click.echo(f"{title}: none\n")
    typical = int(comparison.classes["n"].median())
    echo_note(
        f"a class has {typical} test rows (median): the largest gains are partly chance, and only "
        "the lists by q are evidence about single classes"
    )


def _show_difficulty(kept: Difficulty) -> None:
    echo_table(kept.correlations, title=f"difficulty of {kept.n_classes} classes")
    rates = ["value_a", "value_b", "other_rows_a", "other_rows_b", "shared"]
    echo_table(kept.ends, title="hardest and easiest 5 %", percent=rates)
