"""Card of any other result: its finding or rule, its numbers, and its frames, the first rows."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd

from featstore.cards.card import Card
from featstore.cards.fragment import Cell, fold, frame_table, text
from featstore.numerals import plural

SHOWN_ROWS = 10


def headline(result: Any) -> str:
    """Say what it found, or else its numbers."""
    if (finding := getattr(result, "finding", None)) is not None:
        return str(finding)
    known = _facts(result)
    return ", ".join(f"{name} {text(value)}" for name, value in known.items()) or _sizes(result)


def card(result: Any) -> Card:
    """Show a dataclass of numbers and frames."""
    finding = getattr(result, "finding", None) or getattr(result, "rule", None)
    return Card(
        kind=type(result).__name__,
        name="",
        headline=str(finding or ""),
        facts=_facts(result),
        parts=[
            fold(
                f"{name}: {plural(len(frame), 'row')}",
                frame_table(frame, limit=SHOWN_ROWS),
                opened=i == 0,
            )
            for i, (name, frame) in enumerate(_frames(result).items())
        ],
    )


def _facts(result: Any) -> dict[str, Cell]:
    values = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    return {
        name.replace("_", " "): value
        for name, value in values.items()
        if isinstance(value, str | bool | int | float)
    }


def _frames(result: Any) -> dict[str, pd.DataFrame]:
    values = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    return {name: value for name, value in values.items() if isinstance(value, pd.DataFrame)}


def _sizes(result: Any) -> str:
    return ", ".join(f"{name} {len(frame):,}" for name, frame in _frames(result).items())
