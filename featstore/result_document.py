"""Results that are made of frames: as one JSON document, and joined with each other."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pandas as pd


class FramedResult(Protocol):
    """What a result of several draws has: a configuration, provenance, and frames."""

    @property
    def config(self) -> Any:
        """How it was made: a data class."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Machine and versions."""

    @property
    def summary(self) -> pd.DataFrame:
        """Means over draws."""

    @property
    def values(self) -> pd.DataFrame:
        """Of every draw."""


def result_document(result: FramedResult, frames: Sequence[str]) -> dict[str, Any]:
    """Return configuration, the named frames and provenance, JSON-able; NaN becomes null."""
    document: dict[str, Any] = {"config": dataclasses.asdict(result.config)}
    document |= {name: _records(getattr(result, name)) for name in frames}
    document["provenance"] = dict(result.provenance)
    plain: dict[str, Any] = json.loads(json.dumps(document), parse_constant=lambda _: None)
    return plain


def joined(results: Sequence[FramedResult], frame: str = "summary") -> pd.DataFrame:
    """One frame of several results, e.g. to plot features side by side.

    Parameters
    ----------
    results
        Of any features and probes.
    frame
        ``"summary"`` or ``"values"``.
    """
    frames: list[pd.DataFrame] = [getattr(result, frame) for result in results]
    return pd.concat(frames, ignore_index=True)


def summary_of(results: FramedResult | Sequence[FramedResult] | pd.DataFrame) -> pd.DataFrame:
    """Return the summaries of one result or several below each other; a frame as it is."""
    if isinstance(results, pd.DataFrame):
        return results
    return joined(results if isinstance(results, Sequence) else [results])


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(key): value for key, value in row.items()}
        for row in frame.astype(object).to_dict("records")
    ]
