"""Rows of metrics: what stored runs say of themselves, laid out long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from featstore.errors import InvalidInputError
from featstore.named_stores import Location, named_stores
from featstore.run import ProbeRun
from featstore.run_config import RunConfig
from featstore.run_labels import probe_name
from featstore.store import FeatureStore
from featstore.stored_requests import run_fields

RunSource = (
    Location
    | ProbeRun
    | pd.DataFrame
    | Mapping[str, Location | ProbeRun]
    | Iterable[Location | ProbeRun]
)
"""Stores or their locations, runs, several of them, or named ones; or a frame of `run_rows`."""

#: What tells cells of a table apart, beside the seed.
KEYS = ("store", "target", "subset", "scaling", "tested_on", "features", "probe")

COLUMNS = (*KEYS, "dim", "seed", "run", "selected_on_test", "metric", "value", "low", "high", "n")


def run_rows(source: RunSource) -> pd.DataFrame:
    """Lay out the metrics of runs, read without their scores.

    Parameters
    ----------
    source
        See `RunSource`.  Of stores all runs are taken.  The names of a mapping are those of the
        stores, or of the features of the runs.  A frame, such as `featstore.Study.results`
        returns, is passed through with what it lacks.

    Returns
    -------
    rows
        One row per run and metric: store, target, subset (of the training rows; ``"all"``),
        scaling, tested_on (split, and features where others than those trained on), features
        (joined by +), probe (preset or estimator), dim, seed, run, selected_on_test (whether the
        reported rows chose the hyper-parameter), metric, value, low, high, n.

    Raises
    ------
    InvalidInputError
        If there are no runs, or a frame lacks what a table needs.
    """
    if isinstance(source, pd.DataFrame):
        return _completed(source)
    rows = list(_rows(source))
    if not rows:
        raise InvalidInputError("there are no runs to tabulate; run `featstore probe` first")
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(("value", "low", "high"), float))


def _rows(source: RunSource) -> Iterator[dict[str, Any]]:
    """Yield a dictionary of `COLUMNS` per run and metric."""
    if isinstance(source, Mapping):
        members: list[tuple[str | None, Any]] = list(source.items())
    elif isinstance(source, FeatureStore | ProbeRun | str | Path):
        members = [(None, source)]
    else:
        members = [(None, member) for member in source]
    places = [(name, place) for name, place in members if not isinstance(place, ProbeRun)]
    if places:
        given = isinstance(source, Mapping)
        stores = {name: p for name, p in places if name} if given else [p for _, p in places]
        for name, store in named_stores(stores).items():
            for _, fields in run_fields(store):
                yield from _of_run(RunConfig.from_json(fields["config"]), fields, store=name)
    for label, run in members:
        if isinstance(run, ProbeRun):
            fields = {"name": run.name, "metrics": run.metrics.to_dict("records")}
            renamed = {"features": label} if label is not None else {}
            yield from _of_run(run.config, fields, store="", **renamed)


def _of_run(config: RunConfig, fields: Mapping[str, Any], **told: str) -> Iterator[dict[str, Any]]:
    for metric in fields["metrics"]:
        measured = {key: value for key, value in metric.items() if key in COLUMNS}
        yield {**_settled(config), "run": fields["name"], **told, **measured}


def _settled(config: RunConfig) -> dict[str, Any]:
    return {
        "target": config.target,
        "subset": config.train_subset or "all",
        "scaling": config.scaling,
        "tested_on": config.tested_on,
        "features": " + ".join(config.features),
        "probe": probe_name(config),
        "dim": config.dim,
        "seed": config.seed,
        "selected_on_test": config.selected_on_test,
    }


def _completed(frame: pd.DataFrame) -> pd.DataFrame:
    """Add what a frame of another origin need not have."""
    needed = ("features", "metric", "value")
    if missing := [name for name in needed if name not in frame]:
        raise InvalidInputError(
            f"no column {missing[0]!r}; a table needs {', '.join(needed)}, and the frame has "
            f"{', '.join(map(str, frame.columns))}"
        )
    if frame.empty:
        raise InvalidInputError("the frame has no rows to tabulate")
    usual: dict[str, Any] = dict.fromkeys(KEYS, "") | {
        "subset": "all",
        "dim": 0,
        "seed": 0,
        "selected_on_test": False,
        "low": float("nan"),
        "high": float("nan"),
        "n": 0,
    }
    usual["run"] = [str(i) for i in range(len(frame))]
    return frame.assign(**{name: usual[name] for name in COLUMNS if name not in frame})
