"""Column: a data set of a cross-domain table, with the runs that may stand in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from featstore.analysis.aligned_runs import PairedMetric, align
from featstore.bootstrap import bootstrap
from featstore.cross_domain_rows import Block, row_name
from featstore.errors import InvalidInputError
from featstore.intervals import percentile
from featstore.predictions import Predictions
from featstore.run_choice import Protocol, protocol_of
from featstore.run_config import RunConfig
from featstore.store import FeatureStore

NO_RUN = "no run of this protocol"
STALE = "the feature has changed since its run"
EMPTY: dict[str, object] = {
    "value": np.nan,
    "low": np.nan,
    "high": np.nan,
    "rank": np.nan,
    "gap": np.nan,
    "gap_low": np.nan,
    "gap_high": np.nan,
    "alike": False,
    "run": "",
    "n_train": 0,
}


@dataclass(frozen=True, eq=False)
class Column:
    """A data set: a store and one of its targets, with the runs that may stand in it."""

    label: str
    store: FeatureStore
    target: str
    candidates: Mapping[str, RunConfig]


def run_of(column: Column, block: Block, protocol: Protocol | None) -> str | None:
    """Find the stored run of a cell; None without one."""
    digests = _digests(column.store, block)
    fit = {
        name: config
        for name, config in column.candidates.items()
        if config.features == block
        and protocol_of(config) == protocol
        # What is no longer stored cannot be checked, and still was measured.
        and (digests is None or config.spec_digests == digests)
    }
    if len(fit) > 1:
        first, *others = (dataclasses.asdict(config) for config in fit.values())
        differ = sorted({key for other in others for key in other if other[key] != first[key]})
        raise InvalidInputError(
            f"{len(fit)} runs of {row_name(block)} on {column.label} fit, and differ in "
            f"{', '.join(differ) or 'nothing but their names'}: {', '.join(fit)}. Choose with "
            "--test, or remove those not meant (featstore rm)"
        )
    return next(iter(fit), None)


def _digests(store: FeatureStore, block: Block) -> tuple[str, ...] | None:
    known = store.features
    if any(name not in known for name in block):
        return None
    return tuple(store.feature(name).spec.digest for name in block)


def reason_of_gap(column: Column, block: Block) -> str:
    """Say why a cell is empty."""
    known = column.store.features
    if lacking := [name for name in block if name not in known]:
        return f"the store has no feature {', '.join(lacking)}"
    if open_ := [name for name in block if not column.store.feature(name).sealed]:
        return f"{', '.join(open_)} is not completely extracted"
    stale = any(config.features == block for config in column.candidates.values())
    return STALE if stale else NO_RUN


def measured(
    column: Column,
    runs: Mapping[Block, str],
    metric: PairedMetric | None,
    common: bool,
    *,
    n_boot: int,
    seed: int,
    level: float,
) -> tuple[dict[Block, dict[str, object]], dict[str, object]]:
    """Evaluate the runs of a column on one set of resamples; describe the column."""
    multi = column.store.target(column.target)[1].kind == "multi"
    chosen: PairedMetric = "mAP" if multi else metric or "top1"
    described: dict[str, object] = {
        "dataset": column.label,
        "store": column.store.location,
        "target": column.target,
        "metric": chosen,
        "test_split": "",
        "n": 0,
        "left_out": 0,
        "rows_digest": "",
    }
    if not runs:
        return {}, described
    configs: dict[Block, RunConfig] = {}
    digests: list[str] = []

    def loaded() -> Iterator[tuple[str, Predictions]]:
        for block, name in runs.items():
            run = column.store.run(name)
            configs[block] = run.config
            digests.append(run.predictions.rows_digest)
            yield row_name(block), run.predictions

    try:
        rows = align(loaded(), metric=chosen, common=common)
    except InvalidInputError as error:
        raise InvalidInputError(f"column {column.label}: {error}") from error
    observed, samples = bootstrap(rows.statistic(), len(rows), n_boot=n_boot, seed=seed)
    best = int(np.nanargmax(observed)) if not np.isnan(observed).all() else 0
    low, high = percentile(samples, level=level)
    gap_low, gap_high = percentile(samples[best] - samples, level=level)
    ranks = pd.Series(-observed).rank().to_numpy()
    described |= {
        "test_split": "+".join(dict.fromkeys(config.tested_on for config in configs.values())),
        "n": len(rows),
        "left_out": max(rows.left_out.values()),
        "rows_digest": digests[0] if len(set(digests)) == 1 else "",
    }
    return {
        block: {
            "value": observed[i],
            "low": low[i],
            "high": high[i],
            "rank": ranks[i],
            "gap": observed[best] - observed[i],
            "gap_low": gap_low[i],
            "gap_high": gap_high[i],
            "alike": bool(i == best or gap_low[i] <= 0),
            "run": runs[block],
            "n_train": configs[block].n_train,
        }
        for i, block in enumerate(runs)
    }, described


def is_in_domain(origins: Sequence[str], column: Column) -> bool:
    """Say whether a column is among the data sets of some pretraining, by its name."""
    label = column.label.removesuffix(f": {column.target}").casefold()
    return label in {name.casefold() for name in origins}
