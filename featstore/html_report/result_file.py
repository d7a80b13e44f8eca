"""Result files: what other commands wrote, recognised and shown."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from featstore.errors import InvalidInputError
from featstore.html_report.alike import similarity_exhibit
from featstore.html_report.corrupted import drop_exhibit
from featstore.html_report.curve import curve_exhibit
from featstore.html_report.domains import cross_domain_exhibit
from featstore.html_report.doubled import duplicates_exhibit
from featstore.html_report.exhibit import Exhibit
from featstore.html_report.fused import fusion_exhibit
from featstore.html_report.noisy import label_noise_exhibit
from featstore.html_report.shifted import shift_exhibit
from featstore.html_report.tempered import temperature_exhibit

_COMMANDS = (
    "few-shot, quantity, fusion, similarity, calibration, corruptions, cross-domain, label-noise, "
    "duplicates or shift"
)
#: Keys that each kind has, and no other.
_KEYS = {
    "quantity": {"config", "summary", "fits"},
    "few-shot": {"config", "summary", "draws"},
    "fusion": {"pairs", "controls", "rule"},
    "similarity": {"a", "b", "measure", "value"},
    "calibration": {"run", "temperature", "curve", "metrics"},
    "corruptions": {"name", "drops", "summary"},
    "cross-domain": {"protocol", "cells", "datasets"},
    "label-noise": {"noise_rate", "pairs", "labels"},
    "duplicates": {"searched", "nearest", "effect"},
    "shift": {"features", "measures", "labels", "n_a", "n_b"},
}


def exhibits_of(paths: Sequence[str | Path], *, digests: Mapping[str, str]) -> list[Exhibit]:
    """Show the results in some files, each kind and target once.

    Parameters
    ----------
    paths
        JSON as `featstore few-shot --out`, `quantity --out`, and ``--json`` of these two and of the
        other commands write it.
    digests
        Feature -> digest of its spec as it is stored now.

    Raises
    ------
    InvalidInputError
        If a file is not there, or holds none of these.
    """
    parts: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for path in paths:
        for kind, part in _parts(Path(path)):
            parts[kind, _apart(kind, part, path)].append(part)
    return [
        curve_exhibit(f"r{i}", kind, group, digests=digests)
        if kind == "few-shot" or kind == "quantity"
        else _SHOWN[kind](f"r{i}", group)
        for i, ((kind, _), group) in enumerate(parts.items(), 1)
    ]


def _parts(path: Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidInputError(f"there is no result at {path}") from None
    except (ValueError, IsADirectoryError) as error:
        raise InvalidInputError(
            f"{path} is no JSON ({error}); write it with --json or --out of {_COMMANDS}"
        ) from None
    if isinstance(document, dict) and "results" in document:
        document = document["results"]
    parts = document if isinstance(document, list) else [document]
    found = [(_kind(part), part) for part in parts]
    if not found or any(kind is None for kind, _ in found):
        raise InvalidInputError(
            f"{path} holds no result of {_COMMANDS}; write it with --json or --out of one of these"
        )
    return [(kind, part) for kind, part in found if kind is not None]


def _kind(part: object) -> str | None:
    if not isinstance(part, dict):
        return None
    return next((kind for kind, keys in _KEYS.items() if keys <= part.keys()), None)


def _apart(kind: str, part: dict[str, Any], path: str | Path) -> str:
    """Say what results must share to stand in one figure."""
    if kind in ("few-shot", "quantity"):
        shared = ("target", "train_split", "test_split")
        return json.dumps([part["config"][key] for key in shared])
    return "" if kind == "corruptions" else str(path) + str(part.get("run", ""))


def _drops(key: str, group: Sequence[dict[str, Any]]) -> Exhibit:
    drops, summary = (
        pd.concat([pd.DataFrame(one[frame]).assign(feature=one["name"]) for one in group])
        for frame in ("drops", "summary")
    )
    return drop_exhibit(key, drops, summary, metric=group[0]["metric"])


def _fusion(key: str, group: Sequence[dict[str, Any]]) -> Exhibit:
    (one,) = group
    pairs, controls = (pd.DataFrame(one[frame]) for frame in ("pairs", "controls"))
    return fusion_exhibit(key, pairs, controls, rule=one["rule"])


_SHOWN: dict[str, Callable[[str, Sequence[dict[str, Any]]], Exhibit]] = {
    "fusion": _fusion,
    "similarity": similarity_exhibit,
    "calibration": lambda key, group: temperature_exhibit(key, group[0]),
    "corruptions": _drops,
    "cross-domain": lambda key, group: cross_domain_exhibit(key, group[0]),
    "label-noise": lambda key, group: label_noise_exhibit(key, group[0]),
    "duplicates": lambda key, group: duplicates_exhibit(key, group[0]),
    "shift": lambda key, group: shift_exhibit(key, group[0]),
}
