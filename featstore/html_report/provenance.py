"""Provenance: what the numbers were made from, with what, when and how to make them again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from featstore.corruptions import Corruption
from featstore.feature import FeatureInfo
from featstore.history import environment, history
from featstore.html_report.command import extract_command, probe_command
from featstore.numerals import plural
from featstore.run import ProbeRun
from featstore.store import FeatureStore
from featstore.transform import Transform

HISTORY_LINES = 50
_MACHINE = ("python", "system", "cores", "packages")
_NOT_DETAILS = {"action", "time", *_MACHINE}


@dataclass(frozen=True, eq=False)
class Feature:
    """A stored feature for people.

    Attributes
    ----------
    info
        As it stands on disk.
    transform
        From image to pixels, in words.
    engine
        What ran the backbone, where the history knows.
    """

    info: FeatureInfo
    transform: str
    engine: str


@dataclass(frozen=True, eq=False)
class Provenance:
    """What the numbers were made from.

    Attributes
    ----------
    features
        The features of the reported runs that are still stored.
    commands
        That make the features and the runs again, in their order.
    machines
        Distinct machines and package versions, each with what was done there.
    events, n_events
        The latest lines of the store's history (time, action, details), and their number.
    rows_digest
        Fingerprint of the store's rows.
    """

    features: list[Feature]
    commands: list[str]
    machines: list[tuple[Mapping[str, Any], str]]
    events: list[tuple[str, str, str]]
    n_events: int
    rows_digest: str


def provenance(store: FeatureStore, runs: Sequence[ProbeRun]) -> Provenance:
    """Collect where runs come from."""
    lines = history(store.folder)
    used = dict.fromkeys(name for run in runs for name in run.config.features)
    engines = {
        name: str(engine)
        for line in lines
        if isinstance(line.get("features"), dict)
        for name, engine in line["features"].items()
    }
    splits = store.samples.split_names
    stored = [name for name in used if name in store.features]
    return Provenance(
        features=[
            Feature(
                info,
                describe(info.spec.transform, info.spec.corruption),
                engines.get(info.name, ""),
            )
            for info in map(store.feature, stored)
        ],
        commands=[
            *filter(None, (extract_command(store, name) for name in stored)),
            *(probe_command(run.config, run.name, store.location, splits=splits) for run in runs),
        ],
        machines=_machines(runs, lines),
        events=[_event(line) for line in lines[-HISTORY_LINES:]],
        n_events=len(lines),
        rows_digest=store.samples.digest,
    )


def describe(transform: Transform | None, corruption: Corruption | None = None) -> str:
    """Say in words what happens to an image.

    Examples
    --------
    >>> describe(Transform())
    'short side to 256, centre crop 224, bilinear'
    >>> describe(None)
    'unknown (imported)'
    """
    if transform is None:
        return "unknown (imported)"
    size = f"{transform.size}"
    geometry = {
        "resize-crop": f"short side to {transform.resize}, centre crop {size}",
        "crop-resize": f"centre crop of {transform.crop_fraction or 0:.1%}, to {size}",
        "squash": f"squashed to {size} × {size}",
    }[transform.geometry]
    before = "" if corruption is None else f"{corruption.label}, then "
    decoded = "" if transform.decode == "exact" else f", decoded by --decode {transform.decode}"
    return f"{before}{geometry}, {transform.interpolation}{decoded}"


def _machines(
    runs: Sequence[ProbeRun], lines: Sequence[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], str]]:
    """Distinct environments, and what happened in each."""
    found: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
    made = [("run", run.provenance) for run in runs]
    done = [(str(line.get("action")), line) for line in lines if line.get("action") != "probe"]
    for what, source in [*made, *done, ("report", environment())]:
        machine = {field: source.get(field) for field in _MACHINE}
        key = json.dumps(machine, sort_keys=True)
        found.setdefault(key, (machine, []))[1].append(what)
    return [
        (machine, ", ".join(plural(whats.count(what), what) for what in dict.fromkeys(whats)))
        for machine, whats in found.values()
    ]


def _event(line: Mapping[str, Any]) -> tuple[str, str, str]:
    details = {key: value for key, value in line.items() if key not in _NOT_DETAILS}
    shown = "; ".join(
        f"{key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in details.items()
    )
    return str(line.get("time", "")), str(line.get("action", "")), shown
