"""Card of a store: samples, targets with their classes, features, runs and what else it holds."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from featstore.cards.card import Card
from featstore.cards.fragment import Cell, bar, fold, muted, table
from featstore.errors import FeatstoreError, StorageError
from featstore.numerals import percent, plural, span
from featstore.samples import Samples, Target
from featstore.store import FeatureStore
from featstore.stored_requests import run_fields

SHOWN_CLASSES = 20
SHOWN_RUNS = 30


def headline(store: FeatureStore) -> str:
    """Count what is in the store."""
    counts = [plural(store.n_samples, "sample")]
    try:
        counts += [plural(len(store.features), "feature"), plural(len(store.runs), "run")]
    except StorageError:
        counts.append("a web server, which cannot be listed: name features yourself")
    return " · ".join(counts)


def card(store: FeatureStore) -> Card:
    """Show a store; what is damaged is said in its place."""
    samples = store.samples
    sizes = Counter(name for name in samples.splits.tolist() if name)
    return Card(
        kind="FeatureStore",
        name=store.location,
        headline=headline(store),
        facts={
            "splits": " · ".join(f"{name} {sizes[name]:,}" for name in samples.split_names),
            "source": _source(store),
        },
        parts=[
            *(_target(samples, name, target) for name, target in samples.targets.items()),
            *_members(store),
        ],
    )


def _source(store: FeatureStore) -> str:
    known = store.attributes.get("source", {})
    place = PurePath(str(known.get("table") or known.get("root") or "")).name
    return " ".join(str(part) for part in (known.get("kind"), place, known.get("split")) if part)


def _target(samples: Samples, name: str, target: Target) -> Markup:
    """Classes of a target, those with the most samples first, counted in every split."""
    counts = {split: _counts(target, samples.splits == split) for split in samples.split_names}
    total = _counts(target, np.ones(len(samples), bool))
    order = np.argsort(-total, kind="stable")
    most = max(1, int(total.max(initial=0)))
    rows: list[list[Cell]] = [
        [
            target.classes[code],
            *(int(of_split[code]) for of_split in counts.values()),
            bar(float(total[code]) / most),
        ]
        for code in order[:SHOWN_CLASSES]
    ]
    left_out = len(order) - len(rows)
    several = ", any number per sample" if target.kind == "multi" else ""
    unlabelled = int((~target.labelled).sum())
    missing = f", {plural(unlabelled, 'sample')} without a label" if unlabelled else ""
    return fold(
        Markup("target <b>{}</b>: {}{}{}").format(
            name, plural(len(target.classes), "class"), several, missing
        ),
        table(
            ["class", *counts, ""],
            rows,
            more=f"… {plural(left_out, 'smaller class')}" if left_out else "",
        ),
    )


def _counts(target: Target, rows: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Count the samples of each class among some rows, shape (c,)."""
    codes = target.codes[rows]
    if target.kind == "multi":
        return np.asarray(np.count_nonzero(codes, axis=0))
    return np.bincount(codes[codes >= 0].astype(np.intp), minlength=len(target.classes))


def _members(store: FeatureStore) -> list[Markup]:
    try:
        parts = [_features(store)] if store.features else [muted("no features yet")]
        if store.runs:
            parts.append(_runs(store))
    except StorageError as error:
        return [muted(str(error))]
    if store.subsets:
        parts.append(fold(plural(len(store.subsets), "subset"), ", ".join(store.subsets)))
    if store.taxonomies:
        names = ", ".join(store.taxonomies)
        noun = "taxonomy" if len(store.taxonomies) == 1 else "taxonomies"
        parts.append(fold(f"{len(store.taxonomies)} {noun}", names))
    return parts


def _features(store: FeatureStore) -> Markup:
    rows: list[list[Cell]] = []
    for name in store.features:
        try:
            info = store.feature(name)
        except FeatstoreError as error:
            rows.append([name, None, "", None, "damaged", type(error).__name__])
            continue
        backbone, corruption = info.spec.backbone, info.spec.corruption
        share = info.committed_rows / max(1, info.layout.rows)
        rows.append(
            [
                name,
                backbone.dim,
                info.spec.dtype,
                round(info.nbytes / 1e6, 1),
                "complete" if info.sealed else f"{percent(share)} of the rows",
                " ".join([backbone.architecture, backbone.weights])
                + (f", of images with {corruption.label}" if corruption else ""),
            ]
        )
    header = ["feature", "dim", "dtype", "MB", "state", "backbone"]
    return fold(plural(len(rows), "feature"), table(header, rows), opened=True)


def _runs(store: FeatureStore) -> Markup:
    """Rank runs by their first metric, read without their scores."""
    found = []
    for name, fields in run_fields(store):
        config, first = fields["config"], fields["metrics"][0]
        value, low, high = (_share(first[key]) for key in ("value", "low", "high"))
        row: list[Cell] = [
            name,
            config["target"],
            " + ".join(config["features"]),
            f"{config['probe']}, {config['parameter']} = {config['value']:g}",
            f"{first['metric']} {percent(value)} ({span(low, high)})",
        ]
        found.append((-value, row))
    found.sort(key=lambda item: item[0])
    left_out, damaged = len(found) - SHOWN_RUNS, len(store.runs) - len(found)
    notes = [
        f"… {plural(left_out, 'run')} of lower value" if left_out > 0 else "",
        f"{plural(damaged, 'run')} cannot be read" if damaged else "",
    ]
    return fold(
        plural(len(store.runs), "run"),
        table(
            ["run", "target", "features", "probe", "on its test rows"],
            [row for _, row in found[:SHOWN_RUNS]],
            more="; ".join(note for note in notes if note),
        ),
        opened=True,
    )


def _share(value: float | None) -> float:
    return float("nan") if value is None else float(value)
