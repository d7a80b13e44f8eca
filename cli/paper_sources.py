"""Where tables and figures get their numbers: runs of stores, and files of results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    from featstore.analysis.corruption_drop import CorruptionDrop
    from featstore.fusion_table import FusionTable
    from featstore.run import ProbeRun
    from featstore.store import FeatureStore

_MADE_BY = {
    "quantity": "featstore quantity … --out FILE.json",
    "few-shot": "featstore few-shot … --out FILE.json",
    "fusion": "featstore fusion … --json > FILE.json",
    "corruption-drop": "featstore corruptions … --json > FILE.json",
}


def only_store(sources: Sequence[str]) -> FeatureStore:
    """Open the store that a kind needs which is about runs of one."""
    from featstore.store import FeatureStore

    if len(sources) != 1:
        raise InvalidInputError(f"this kind is about the runs of one store, got {len(sources)}")
    return FeatureStore.open(sources[0])


def chosen_runs(
    sources: Sequence[str], names: Sequence[str], target: str | None, preset: str | None
) -> list[ProbeRun]:
    """Load the named runs of a store, or those of a target and a preset on all training rows."""
    from featstore.probe_request import stored_configs

    store = only_store(sources)
    if names:
        return [store.run(name) for name in names]
    wanted, _ = store.target(target)
    found = [
        name
        for name, config in stored_configs(store)
        if config.target == wanted
        and preset in (None, config.preset)
        and config.train_subset is None
        and not config.test_features
    ]
    if not found:
        raise InvalidInputError(
            f"{store.location} has no such runs of {wanted}; `featstore ls` shows which there are"
        )
    return [store.run(name) for name in found]


def run_pair(
    sources: Sequence[str], run: Sequence[str], against: str | None
) -> tuple[ProbeRun, ProbeRun]:
    """Load a baseline and the run that replaces it."""
    if len(run) != 1 or against is None:
        raise InvalidInputError(
            "this kind compares two runs: name one with --run and the baseline with --against"
        )
    store = only_store(sources)
    return store.run(against), store.run(run[0])


def documents(sources: Sequence[str], kind: str) -> list[dict[str, Any]]:
    """Read the JSON documents that a command wrote."""
    found: list[dict[str, Any]] = []
    for source in sources:
        path = Path(source)
        advice = f"{kind} is made from a file of results: {_MADE_BY[kind]}"
        if not path.is_file():
            raise InvalidInputError(f"there is no file {source}; {advice}")
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InvalidInputError(f"{source} is no JSON ({error}); {advice}") from None
        listed = read.get("results", read) if isinstance(read, dict) else read
        found += listed if isinstance(listed, list) else [listed]
    return found


def summaries(sources: Sequence[str], kind: str) -> pd.DataFrame:
    """Read the summaries of curves, below each other."""
    read = documents(sources, kind)
    if missing := [one for one in read if "summary" not in one]:
        raise InvalidInputError(
            f"no summary in a result ({', '.join(missing[0])}): {_MADE_BY[kind]}"
        )
    return pd.concat([_frame(one["summary"]) for one in read], ignore_index=True)


def fusion_table(sources: Sequence[str]) -> FusionTable:
    """Read what `featstore fusion --json` printed."""
    from featstore.fusion_table import FusionTable

    read = documents(sources, "fusion")
    if len(read) != 1 or "pairs" not in read[0]:
        raise InvalidInputError(f"one result with pairs is needed: {_MADE_BY['fusion']}")
    one = read[0]
    frames = {part: _frame(one[part]) for part in ("pairs", "controls")}
    return FusionTable(
        one["metric"],
        **frames,
        margin=one["margin"],
        level=one["level"],
        # Files of earlier versions have no words about the protocol.
        protocol=one.get("protocol", ""),
        parameter=one.get("parameter", ""),
        scaling=one.get("scaling", ""),
    )


def drops(sources: Sequence[str]) -> dict[str, CorruptionDrop]:
    """Read what `featstore corruptions --json` printed."""
    from featstore.analysis.corruption_drop import CorruptionDrop

    read = documents(sources, "corruption-drop")
    if any("drops" not in one for one in read):
        raise InvalidInputError(f"a result without drops: {_MADE_BY['corruption-drop']}")
    return {
        one["name"]: CorruptionDrop(
            metric=one["metric"],
            clean=one["clean"],
            n=one["rows"],
            level=one["level"],
            **{part: _frame(one[part]) for part in ("drops", "errors", "summary")},
        )
        for one in read
    }


def _frame(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Read rows, whose null is not a number where others are."""
    frame = pd.DataFrame(records)
    for name in frame:
        if frame[name].dtype == object and frame[name].map(_is_number).all():
            frame[name] = frame[name].astype(float)
    return frame


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
