"""`featstore ls`: what is in a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import pandas as pd

from featstore.cli.arguments import store_argument
from featstore.cli.output import echo_json, echo_table, json_option, records
from featstore.errors import CorruptStoreError

if TYPE_CHECKING:
    from featstore.store import FeatureStore


@click.command()
@store_argument
@json_option
def command(store: str, as_json: bool) -> None:
    """List the features, subsets, runs and taxonomies of a STORE."""
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    features, runs = features_frame(opened), runs_frame(opened)
    if as_json:
        echo_json(
            {
                "features": records(features),
                "subsets": opened.subsets,
                "runs": records(runs),
                "taxonomies": opened.taxonomies,
            }
        )
        return
    echo_table(features, title="features")
    if len(runs):
        echo_table(runs, title="runs", percent=["value", "low", "high"])
    if opened.subsets:
        click.echo(f"subsets: {', '.join(opened.subsets)}")
    if opened.taxonomies:
        click.echo(f"taxonomies: {', '.join(opened.taxonomies)}")


_FEATURE_COLUMNS = [
    "feature",
    "rows",
    "dim",
    "dtype",
    "MB",
    "state",
    "excluded",
    "corruption",
    "architecture",
    "weights",
]


_RUN_COLUMNS = ["run", "target", "probe", "dim", "metric", "value", "low", "high"]


def features_frame(store: FeatureStore) -> pd.DataFrame:
    """One row per feature: name, shape, state and origin."""
    rows = []
    for name in store.features:
        info = store.feature(name)
        rows.append(
            {
                "feature": name,
                "rows": info.committed_rows,
                "dim": info.spec.backbone.dim,
                "dtype": info.spec.dtype,
                "MB": round(info.nbytes / 1e6, 3),
                "state": "sealed" if info.sealed else "unfinished",
                "excluded": len(info.excluded),
                "corruption": info.spec.corruption.label if info.spec.corruption else "",
                "architecture": info.spec.backbone.architecture,
                "weights": info.spec.backbone.weights,
            }
        )
    return pd.DataFrame(rows, columns=_FEATURE_COLUMNS)


def runs_frame(store: FeatureStore) -> pd.DataFrame:
    """One row per run: name and first metric."""
    rows: list[dict[str, Any]] = []
    for name in store.runs:
        try:
            run = store.run(name)
        except CorruptStoreError:
            rows.append({"run": name, "target": "(damaged)"})
            continue
        first = run.metrics.iloc[0]
        rows.append(
            {
                "run": name,
                "target": run.config.target,
                "probe": f"{run.config.probe_label}, {run.config.parameter} = {run.config.value:g}",
                "dim": run.config.dim,
                "metric": first["metric"],
                "value": first["value"],
                "low": first["low"],
                "high": first["high"],
            }
        )
    return pd.DataFrame(rows, columns=_RUN_COLUMNS)
