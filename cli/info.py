"""`featstore info`: a store, or one feature, in detail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
import numpy as np
import pandas as pd

from featstore.cli.arguments import store_argument
from featstore.cli.output import echo_json, echo_table, json_option
from featstore.fingerprint import NEWEST


@click.command()
@store_argument
@click.option("--feature", help="Show everything about one feature.")
@json_option
def command(store: str, feature: str | None, as_json: bool) -> None:
    """Show the samples of a STORE: splits, targets, source; or the spec of one feature."""
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    document = _feature(opened, feature) if feature else _store(opened)
    if as_json:
        echo_json(document)
        return
    if "source" in document:
        document["source"] = _dated(document["source"])
    pairs = pd.DataFrame(
        [(key, value) for key, value in _flat(document)], columns=["property", "value"]
    )
    echo_table(pairs, title=str(store))


def _store(store: Any) -> dict[str, Any]:
    samples = store.samples
    names, counts = np.unique(samples.splits, return_counts=True)
    return {
        "path": store.location,
        **store.attributes,
        "samples": len(samples),
        "splits": {str(n) or "(none)": int(c) for n, c in zip(names, counts, strict=True)},
        "targets": {
            name: {"kind": target.kind, "classes": len(target.classes)}
            for name, target in samples.targets.items()
        },
        "digest": samples.digest,
        "features": len(store.features),
        "runs": len(store.runs),
    }


def _feature(store: Any, name: str) -> dict[str, Any]:
    info = store.feature(name)
    return {
        "feature": name,
        "state": "sealed" if info.sealed else "unfinished",
        "committed_rows": info.committed_rows,
        "rows": info.layout.rows,
        "shard_rows": info.layout.shard_rows,
        "shards": info.layout.n_shards,
        "excluded": {str(row): reason for row, reason in info.excluded.items()},
        "spec_digest": info.spec.digest,
        "spec": info.spec.to_json(),
    }


def _dated(source: dict[str, Any]) -> dict[str, Any]:
    """Show when the newest image was changed as a date."""
    shown = {key: value for key, value in source.items() if key != NEWEST}
    if NEWEST in source:
        newest = datetime.fromtimestamp(source[NEWEST] // 10**9, UTC)
        shown["newest_image"] = f"{newest:%Y-%m-%d %H:%M:%S} UTC"
    return shown


def _flat(node: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs = []
    for key, value in node.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", str(value)))
    return pairs
