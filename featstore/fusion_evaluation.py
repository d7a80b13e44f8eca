"""fusion: pairs of features against their better member and against controls of equal size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from featstore.derived_store import DerivedFeature, DerivedStore
from featstore.errors import InvalidInputError
from featstore.fusion_controls import principal_components, random_projection
from featstore.fusion_table import FusionTable, verdict
from featstore.probe_request import ProbeRequest
from featstore.run import ProbeRun, compare
from featstore.scaling import ScalingKind
from featstore.selection_plan import SelectBy
from featstore.store import FeatureStore

_LEVEL = 0.95


def fusion(
    store: FeatureStore | str | Path,
    pairs: Literal["all"] | Sequence[tuple[str, str]] = "all",
    *,
    probe: str | None = None,
    preset: str | None = None,
    value: float | None = None,
    target: str | None = None,
    scaling: ScalingKind = "none",
    train: str = "train",
    val: str | None = None,
    test: str | None = None,
    select: SelectBy | None = None,
    controls: bool = True,
    margin: float = 0.0,
    seed: int = 0,
    device: str = "cpu",
    n_boot: int = 1000,
    save: bool = True,
) -> FusionTable:
    """Say which pairs of features are complementary, and which redundant.

    Every member and every pair gets a run of `featstore.probe`; a stored run that answers the same
    question is taken instead.  The runs of controls are never stored.

    Parameters
    ----------
    store
        The store, or its path.
    pairs
        ``"all"`` pairs of complete features, or a list of them.
    probe, preset, value, target, scaling, train, val, test, select, device
        Of every run, see `featstore.probe`.
    controls
        Whether to fit the two controls of each pair; see `FusionTable`.
    margin
        Gain that counts as none, e.g. 0.01 for one point.
    seed
        Of runs, bootstraps and the random projection.
    n_boot
        Resamples of the intervals.
    save
        Whether to store the runs of members and pairs.

    Returns
    -------
    table
        Pairs in the order given.

    Raises
    ------
    FeatureNotFoundError, NotSealedError
        If a feature, target or split is not there or not finished.
    InvalidInputError
        If there is no pair, a pair does not have two different features, or arguments do not fit.
    """
    if not isinstance(store, FeatureStore):
        store = FeatureStore.open(store)
    if not 0 <= margin < 1:
        raise InvalidInputError(
            f"margin is a share in [0, 1), e.g. 0.01 for a point; got {margin:g}"
        )
    if n_boot < 1:
        raise InvalidInputError("verdicts rest on intervals; n_boot must be at least 1")
    chosen = _chosen(store, pairs)
    request = ProbeRequest(
        probe=probe,
        preset=preset,
        value=value,
        target=target,
        scaling=scaling,
        train=train,
        val=val,
        test=test,
        select=select,
        seed=seed,
        device=device,
        n_boot=n_boot,
    )
    names = dict.fromkeys(name for pair in chosen for name in pair)
    members = {name: request.answer(store, [name], save=save) for name in names}
    metric: Literal["top1", "mAP"] = (
        "mAP" if next(iter(members.values())).predictions.multilabel else "top1"
    )
    rows, control_rows = [], []
    for a, b in chosen:
        run_a, run_b = members[a], members[b]
        fused = request.answer(store, [a, b], save=save)
        best = max((run_a, run_b), key=lambda run: run.metric(metric))
        gain = compare(best, fused, n_boot=n_boot, seed=seed)
        over_low = math.inf
        for row in _controls(store, request, best, fused) if controls else ():
            control_rows.append({"a": a, "b": b, **row})
            if row["control"] == "projection":
                over_low = row["over_low"]
        rows.append(
            {
                "a": a,
                "b": b,
                "dim_a": run_a.config.dim,
                "dim_b": run_b.config.dim,
                "dim": fused.config.dim,
                "score_a": run_a.metric(metric),
                "score_b": run_b.metric(metric),
                "score": fused.metric(metric),
                **_interval(run_a, metric, "score_a"),
                **_interval(run_b, metric, "score_b"),
                **_interval(fused, metric, "score"),
                "value_a": run_a.config.value,
                "value_b": run_b.config.value,
                "value": fused.config.value,
                "best": best.config.features[0],
                "gain": gain.difference,
                "low": gain.low,
                "high": gain.high,
                "verdict": verdict(gain.low, gain.high, margin=margin, over_low=over_low),
                "run_a": run_a.name,
                "run_b": run_b.name,
                "run": fused.name,
            }
        )
    return FusionTable(
        metric,
        pd.DataFrame(rows),
        pd.DataFrame(control_rows),
        margin,
        _LEVEL,
        protocol=f"{fused.config.probe_label}, {fused.config.parameter} {fused.config.how_chosen}",
        parameter=fused.config.parameter,
        scaling=fused.config.scaling,
    )


def _interval(run: ProbeRun, metric: str, name: str) -> dict[str, float]:
    known = run.metrics.set_index("metric")
    return {f"{name}_{end}": float(known[end][metric]) for end in ("low", "high")}


def _controls(
    store: FeatureStore, request: ProbeRequest, best: ProbeRun, fused: ProbeRun
) -> Iterator[dict[str, Any]]:
    """Fit both controls of a pair, and compare them to the best member and to the pair."""
    (name,), dim = best.config.features, best.config.dim
    projected = random_projection(store.view(name), dim=fused.config.dim - dim, seed=request.seed)
    train = request.parts(store, fused.config.features).refit.view
    reduced = principal_components(train, dim=dim, scaling=request.scaling)
    fits: list[tuple[str, DerivedFeature, list[str], ProbeRequest]] = [
        ("projection", projected, [name, projected.name], request),
        # Its blocks were scaled before; scaling components would give all of them equal weight.
        ("pca", reduced, [reduced.name], request.unscaled()),
    ]
    for control, feature, features, asked in fits:
        run = asked.run(DerivedStore(store, [feature]), features, save=False)
        gain = compare(best, run, n_boot=request.n_boot, seed=request.seed)
        over = compare(run, fused, n_boot=request.n_boot, seed=request.seed)
        yield {
            "control": control,
            "dim": run.config.dim,
            "score": gain.value_b,
            "gain": gain.difference,
            "low": gain.low,
            "high": gain.high,
            "over": over.difference,
            "over_low": over.low,
            "over_high": over.high,
        }


def _chosen(
    store: FeatureStore, pairs: Literal["all"] | Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    if pairs == "all":
        known = [name for name in store.features if store.feature(name).sealed]
        if len(known) < 2:
            raise InvalidInputError(
                f"fusion needs two complete features; {store.location} has "
                f"{', '.join(known) or 'none'}"
            )
        return list(combinations(known, 2))
    if not pairs:
        raise InvalidInputError("there is no pair to fuse; give a list of pairs, or 'all'")
    chosen = [tuple(pair) if not isinstance(pair, str) else (pair,) for pair in pairs]
    for pair in chosen:
        if len(pair) != 2 or pair[0] == pair[1]:
            raise InvalidInputError(f"a pair is of two different features, got {pair}")
        for name in pair:
            store.feature(name)  # before anything is fitted
    return [(a, b) for a, b in dict.fromkeys(chosen)]
