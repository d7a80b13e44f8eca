"""Tables of results for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from store_formats.contestants import LIMIT, OURS

#: (temperature, operation) -> heading; the order of the columns.
HEADINGS = {
    ("write", "write"): "write",
    ("warm", "load"): "load",
    ("warm", "load into"): "load out=",
    ("warm", "scan"): "scan",
    ("warm", "gather"): "gather",
    ("warm", "gather sorted"): "sorted",
    ("warm", "batches"): "batches",
    ("cold", "load"): "load",
    ("cold", "scan"): "scan",
    ("cold", "gather"): "gather",
    ("cold", "few batches"): "batches",
    ("cold", "epoch"): "epoch",
}


def show(result: dict[str, Any], console: Console) -> None:
    """Print the tables of one matrix: ratios, times to open, memory, gaps."""
    n, d = result["shape"]
    rates = {(t["format"], t["temperature"], t["operation"]): t for t in result["timings"]}
    columns = [key for key in HEADINGS if (LIMIT, *key) in rates]
    formats = list(dict.fromkeys(t["format"] for t in result["timings"]))
    opening = {t["format"]: t for t in result["timings"] if t["operation"] == "open"}

    table = Table(
        title=f"{n:,} × {d} {result['dtype']}, {result['nbytes'] / 1e9:.2f} GB: "
        "rate relative to numpy, more is better",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("")
    for temperature, operation in columns:
        table.add_column(f"{HEADINGS[temperature, operation]}\n{temperature}", justify="right")
    table.add_column("open\nms", justify="right")
    table.add_row(
        f"{LIMIT}, GB/s", *(f"{rates[LIMIT, *key]['gb_per_s']:.2f}" for key in columns), ""
    )
    for name in formats:
        cells = [_ratio(rates.get((name, *key))) for key in columns]
        milliseconds = _milliseconds(opening.get(name))
        table.add_row(name, *cells, milliseconds, style="bold" if name == OURS else None)
    console.print(table)
    if result["memory"]:
        console.print(_memory_table(result["memory"]))
    for name, rows in _on_fewer_rows(result["timings"], n):
        console.print(f"{name}: measured on {rows:,} rows, per row")
    for gap in result["gaps"]:
        console.print(f"{gap['format']}: no {gap['operation']} ({gap['reason']})")


def _memory_table(memory: list[dict[str, Any]]) -> Table:
    operations = list(dict.fromkeys(line["operation"] for line in memory))
    table = Table(title="peak anonymous memory, MB (of what was asked for)", box=box.SIMPLE_HEAD)
    table.add_column("")
    for operation in operations:
        table.add_column(operation, justify="right")
    found = {(line["format"], line["operation"]): line for line in memory}
    for name in dict.fromkeys(line["format"] for line in memory):
        cells = [_megabytes(found.get((name, operation))) for operation in operations]
        table.add_row(name, *cells, style="bold" if name == OURS else None)
    return table


def _on_fewer_rows(timings: list[dict[str, Any]], n: int) -> Iterable[tuple[str, int]]:
    loads = (t for t in timings if t["operation"] == "load" and t["temperature"] == "warm")
    return ((t["format"], t["rows"]) for t in loads if t["rows"] < n)


def _ratio(timing: dict[str, Any] | None) -> str:
    return (
        "–"
        if timing is None
        else f"{timing['ratio']:.2g}"
        if timing["ratio"] < 0.1
        else f"{timing['ratio']:.2f}"
    )


def _milliseconds(timing: dict[str, Any] | None) -> str:
    return (
        "–"
        if timing is None
        else f"{1000 * sorted(timing['seconds'])[len(timing['seconds']) // 2]:.1f}"
    )


def _megabytes(line: dict[str, Any] | None) -> str:
    if line is None:
        return "–"
    return f"{line['anonymous'] / 1e6:.0f} ({line['anonymous'] / line['values']:.2g}×)"
