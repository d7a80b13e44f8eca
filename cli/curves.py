"""What commands do with curves: keep their draws in a file, and draw them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import pandas as pd

from featstore.errors import InvalidInputError
from featstore.new_file import new_file

if TYPE_CHECKING:
    from featstore.few_shot_result import FewShot
    from featstore.quantity_result import Quantity

Command = TypeVar("Command", bound=Callable[..., Any])


def file_option(name: str, purpose: str, suffixes: Sequence[str]) -> Callable[[Command], Command]:
    """Make an option for a file to write, with one of the endings."""

    def check(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
        if path is not None and path.suffix not in suffixes:
            raise InvalidInputError(f"{path} must end in {' or '.join(suffixes)}")
        return path

    kind = click.Path(dir_okay=False, path_type=Path)
    return click.option(
        name, type=kind, callback=check, help=f"{purpose}: {' or '.join(suffixes)}."
    )


#: What figures can be written as.
FIGURES = (".svg", ".pdf", ".png")

out_option = file_option("--out", "Keep every draw's result", (".csv", ".json"))


def write_results(path: Path, results: Sequence[FewShot] | Sequence[Quantity]) -> None:
    """Write every draw's value as CSV, or all that is known as JSON."""
    from featstore.result_document import joined

    if path.suffix == ".csv":
        joined(results, "values").to_csv(path, index=False)
    else:
        documents = [result.to_json() for result in results]
        with new_file(path) as temporary:
            temporary.write_text(
                json.dumps(documents, ensure_ascii=False, indent=2), encoding="utf-8"
            )


def interval_texts(low: pd.Series, high: pd.Series) -> list[str]:
    """Intervals in percent; nothing where there is none."""
    pairs = zip(low, high, strict=True)
    return [f"{100 * a:.1f} – {100 * b:.1f}" if a == a else "" for a, b in pairs]
