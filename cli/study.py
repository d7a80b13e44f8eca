"""`featstore study`: a grid of runs from one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pandas as pd

from featstore.cli.output import (
    echo_json,
    echo_note,
    echo_paper_table,
    echo_table,
    json_option,
    records,
)
from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    from featstore.study import StudyPlan

_FORMATS = {
    ".csv": "the long table",
    ".md": "Markdown",
    ".tex": "LaTeX",
}
study_argument = click.argument("study", type=click.Path(path_type=Path))


@click.group()
def command() -> None:
    """Run a grid of stores, features, probes, subsets, seeds and targets.

    The grid is one TOML file. Its cells are the runs that `featstore probe` would make; what the
    stores have already is not made again.

    \b
    featstore study init study.toml
    featstore study run study.toml --dry-run
    featstore study run study.toml --workers 8
    featstore study table study.toml --out results.tex
    """


@command.command()
@study_argument
def init(study: Path) -> None:
    """Write a commented example to begin with."""
    from featstore.study.template import TEMPLATE

    try:
        with study.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError:
        raise InvalidInputError(f"{study} exists; choose another name") from None
    click.echo(f"{study} written; edit it, then: featstore study run {study} --dry-run")


@command.command()
@study_argument
@click.option("--dry-run", is_flag=True, help="Show the cells and what is there; compute nothing.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Processes of this machine, or a Ray cluster (RAY_ADDRESS).",
)
@click.option("--workers", type=click.IntRange(min=1), help="How many [default: one per core].")
@click.option(
    "--memory", help="For the matrices of all workers, e.g. 16GB [default: half the machine's]."
)
@click.option("--retry/--no-retry", default=True, show_default=True, help="Try failed cells again.")
@json_option
@click.pass_context
def run(
    context: click.Context,
    study: Path,
    dry_run: bool,
    engine: str,
    workers: int | None,
    memory: str | None,
    retry: bool,
    as_json: bool,
) -> None:
    """Run the cells of a STUDY that have no run yet.

    A killed study goes on with the same command. Cells that fail say why and stop no other; the
    exit code is then 1.
    """
    from featstore.study import Study

    opened = Study.from_toml(study)
    if dry_run:
        _show(opened.plan(), as_json=as_json)
        return
    plan = opened.run(
        engine="processes" if engine == "local" else "ray",
        workers=workers,
        memory=memory,
        retry=retry,
        progress=None,
    )
    _show(plan, as_json=as_json)
    if plan.counts["failed"]:
        context.exit(1)


@command.command()
@study_argument
@json_option
def status(study: Path, as_json: bool) -> None:
    """Show which cells are done, pending or failed, and why."""
    from featstore.study import Study

    _show(Study.from_toml(study).plan(), as_json=as_json)


@command.command()
@study_argument
@click.option("--metric", help="What is shown [default: top1, or mAP].")
@click.option(
    "--out",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it: .md, .tex, or .csv with one row per run and metric.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "latex", "csv"]),
    help="Print the table for a paper.",
)
@click.option(
    "--uncertainty",
    type=click.Choice(["rows", "seeds"]),
    default="rows",
    show_default=True,
    help="In Markdown and LaTeX: intervals over test rows, or the deviation over seeds.",
)
@json_option
def table(
    study: Path,
    metric: str | None,
    out: Path | None,
    form: str | None,
    uncertainty: Any,
    as_json: bool,
) -> None:
    """Show features against probes: values with 95 % intervals over test rows, the best marked.

    Of several seeds: the means, and ± the standard deviation over seeds.
    """
    from featstore.study import Study
    from featstore.study.table import sheet

    if out is not None and out.suffix not in _FORMATS:
        raise InvalidInputError(f"{out} must end in {', '.join(_FORMATS)}")
    opened = Study.from_toml(study)
    found = opened.table(metric=metric)
    if not len(found):
        raise InvalidInputError("no cell of the study has a run yet; run it first")
    if out is not None:
        if out.suffix == ".csv":
            opened.results().to_csv(out, index=False)
        else:
            opened.paper_table(metric=metric, uncertainty=uncertainty).save(out)
    if form is not None:
        echo_paper_table(opened.paper_table(metric=metric, uncertainty=uncertainty), form)
        return
    if as_json:
        echo_json(records(found))
        return
    names = ", ".join(dict.fromkeys(found["metric"]))
    title = f"{names} in %, 95 % interval; best features of a column: *"
    echo_table(sheet(_short(found), bold=("*", "")), title=title)
    if out is not None:
        click.echo(f"{out}: {_FORMATS[out.suffix]}")


@command.command()
@study_argument
@click.option(
    "--out",
    "-o",
    required=True,
    type=click.Path(path_type=Path),
    help="The HTML file; a folder for several stores.",
)
@click.option("--title", help="Of the page [default: from the store's name].")
@json_option
def report(study: Path, out: Path, title: str | None, as_json: bool) -> None:
    """Write one self-contained HTML page about the study's runs in each store."""
    from featstore.study import Study

    pages = Study.from_toml(study).report(out, title=title)
    if as_json:
        echo_json([{"path": str(page), "bytes": page.stat().st_size} for page in pages])
        return
    for page in pages:
        click.echo(f"{page} ({page.stat().st_size / 1e3:,.0f} kB)")


def _show(plan: StudyPlan, *, as_json: bool) -> None:
    """Show cells, how many are in which state, and what went wrong."""
    frame, counts = plan.frame, plan.counts
    if as_json:
        echo_json(
            {
                "counts": {str(state): count for state, count in counts.items()},
                "cells": records(frame),
            }
        )
        return
    shown = _short(frame).drop(columns=["request", "error", "message"])
    constant = [
        c for c in ("store", "target", "scaling", "subset", "seed") if _is_constant(shown[c])
    ]
    kept = shown.drop(columns=constant)
    said = ", ".join(f"{c} {shown[c].iloc[0]}" for c in constant)
    echo_table(kept.fillna({"run": ""}), title=f"{len(frame)} cells: {said}")
    click.echo(", ".join(f"{counts[state]} {state}" for state in ("done", "pending", "failed")))
    for row in frame[frame["error"] != ""].itertuples():
        echo_note(f"{row.features}, {row.probe}, {row.target}: {row.error}: {row.message}")


def _is_constant(column: pd.Series[Any]) -> bool:
    return bool(column.nunique(dropna=False) <= 1)


def _short(frame: pd.DataFrame) -> pd.DataFrame:
    """Call stores by the last part of their location where that tells them apart."""
    names = {location: location.rstrip("/").rpartition("/")[2] for location in set(frame["store"])}
    if len(set(names.values())) < len(names):
        return frame
    return frame.assign(store=frame["store"].map(names))
