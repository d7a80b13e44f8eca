"""Output: tables for people, or one JSON document for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pandas as pd
from rich.console import Console

from featstore.cli.terminal_table import fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from featstore.typeset import Table as PaperTable
    from featstore.typeset.column import Intervals

#: Characters that no table needs.
_UNBOUNDED = 1_000_000

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document instead of tables."
)


def echo_json(document: object) -> None:
    """Print one JSON document on stdout; NaN becomes null."""
    click.echo(json.dumps(_plain(document), ensure_ascii=False, indent=2))


def echo_table(
    frame: pd.DataFrame,
    *,
    title: str | None = None,
    percent: Sequence[str] = (),
    limit: int | None = None,
) -> None:
    """Print a frame as a table.

    Parameters
    ----------
    frame
        Each row a line.
    title
        Shown above.
    percent
        Columns in [0, 1] to show in percent.
    limit
        Rows to show at most; how many were left out is said.
    """
    if title:
        click.secho(title, bold=True)
    numeric = set(frame.select_dtypes("number").columns)
    shown = frame if limit is None else frame.head(limit)
    rows = [
        [_cell(value, column in percent) for column, value in zip(frame.columns, row, strict=True)]
        for row in shown.itertuples(index=False)
    ]
    console = Console()
    # A pipe has no width; folding columns there would be in the way of other programs.
    width = console.width if console.is_terminal else None
    table = fitted(
        [str(column) for column in frame.columns],
        rows,
        [column in numeric for column in frame.columns],
        width,
    )
    if width is None:
        console = Console(width=_UNBOUNDED)
    console.print(table)
    if len(shown) < len(frame):
        click.echo(f"… {len(frame) - len(shown)} more; --limit or --json shows all")


def echo_note(text: str) -> None:
    """Print something worth knowing on stderr, so that it never mixes with data."""
    click.echo(f"{click.style('note:', fg='yellow')} {text}", err=True)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows for a JSON document."""
    return [
        {str(key): value for key, value in row.items()}
        for row in frame.astype(object).to_dict("records")
    ]


def with_interval(frame: pd.DataFrame, name: str = "95 % interval") -> pd.DataFrame:
    """Join the columns low and high of a frame into one, in percent."""
    joined = [
        f"{100 * low:.1f} – {100 * high:.1f}"
        for low, high in zip(frame["low"], frame["high"], strict=True)
    ]
    return frame.assign(**{name: joined}).drop(columns=["low", "high"])


def points(frame: pd.DataFrame, value: str, low: str, high: str) -> list[str]:
    """Join a difference and its interval, in points."""
    return [
        f"{100 * v:+.2f} [{100 * lo:+.2f}, {100 * hi:+.2f}]"
        for v, lo, hi in zip(frame[value], frame[low], frame[high], strict=True)
    ]


def echo_paper_table(
    table: PaperTable, form: str, *, intervals: Intervals | None = None, environment: bool = False
) -> None:
    """Print a table as Markdown (md), LaTeX (latex) or CSV (csv)."""
    if form == "latex":
        click.echo(table.to_latex(intervals=intervals or "pm", environment=environment))
    elif form == "csv":
        click.echo(table.to_csv(), nl=False)
    else:
        click.echo(table.to_markdown(intervals=intervals or "brackets"))


def write_figure(path: Path, drawn: Axes) -> None:
    """Write what a plot drew; `InvalidInputError` for another suffix than .svg, .pdf or .png."""
    from featstore import plots

    plots.save(drawn, path)


def _cell(value: Any, percent: bool) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        if math.isnan(value):
            return "–"
        return f"{100 * value:.2f} %" if percent else f"{value:.4g}"
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
