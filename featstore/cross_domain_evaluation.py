"""cross_domain: features against data sets, from the runs of several stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from featstore.analysis.aligned_runs import PairedMetric
from featstore.cross_domain_column import (
    EMPTY,
    NO_RUN,
    STALE,
    Column,
    is_in_domain,
    measured,
    reason_of_gap,
    run_of,
)
from featstore.cross_domain_rows import Block, check_specs, origins_of, row_name
from featstore.cross_domain_table import CrossDomain
from featstore.errors import InvalidInputError
from featstore.named_stores import Location, named_stores
from featstore.run_choice import Protocol, RunChoice, protocol_of
from featstore.scaling import ScalingKind
from featstore.selection_plan import SelectBy
from featstore.store import FeatureStore


def cross_domain(
    stores: Sequence[Location] | Mapping[str, Location],
    *,
    features: Sequence[str | Sequence[str]] | None = None,
    targets: Sequence[str] | None = None,
    probe: str | None = None,
    preset: str | None = None,
    value: float | None = None,
    scaling: ScalingKind | None = None,
    select: SelectBy | None = None,
    seed: int | None = None,
    test: str | None = None,
    metric: PairedMetric | None = None,
    pretrained_on: Mapping[str, str | Sequence[str]] | None = None,
    run_missing: bool = False,
    common: bool = False,
    device: str = "cpu",
    n_boot: int = 1000,
    boot_seed: int = 0,
    level: float = 0.95,
) -> CrossDomain:
    """Tabulate features against data sets, from stored runs.

    All runs of the table were made in one way: same probe, preset, scaling, selection and seed.
    Where the stores hold runs made in several ways, arguments must choose.  A feature without a run
    on a data set is a gap with its reason, or is evaluated now (`run_missing`).

    Parameters
    ----------
    stores
        Stores or their locations, or a mapping from names of data sets to them; a location's
        last part without suffix is the name otherwise.
    features
        Rows: names, or sequences of names fused in this order; every feature of any store by
        itself by default.
    targets
        Label columns; of each store those it has, at least one.  The first of each by default.
    probe, preset, value, scaling, select, seed, test
        What the runs have in common, see `featstore.probe`.
    metric
        Of single-label columns, ``"top1"`` by default, ``"top5"`` or ``"mean_per_class"``.
        Multi-label columns have mAP.
    pretrained_on
        Feature -> names of data sets; what extraction was told by default.
    run_missing
        Whether to fit and store missing runs.
    common
        Whether runs of a column that were measured on different rows are compared on their
        common ones; an error otherwise.
    device
        For missing runs.
    n_boot, boot_seed, level
        Of the paired bootstrap.

    Raises
    ------
    InvalidInputError
        If runs were made in several ways, several fit one cell, a column's runs were measured on
        different rows, no store has a target, or names repeat.
    SpecMismatchError
        If a feature was made in different ways in two stores.
    FeatureNotFoundError
        If a named feature is in no store.

    References
    ----------
    Cole et al. (2022), When does contrastive visual representation learning work?, CVPR, Table 1.
    """
    if n_boot < 2:
        raise InvalidInputError("marks rest on intervals; n_boot must be at least 2")
    choice = RunChoice(probe, preset, value, scaling, select, seed, test)
    named = named_stores(stores)
    blocks = _blocks(named, features)
    columns = _columns(named, targets, choice)
    wanted = [
        config
        for column in columns
        for config in column.candidates.values()
        if config.features in blocks
    ]
    protocol = choice.only_protocol(wanted)
    notes = check_specs(named, blocks)
    origins = origins_of(named, blocks, pretrained_on or {})
    cells: list[dict[str, object]] = []
    datasets: list[dict[str, object]] = []
    for column in columns:
        runs: dict[Block, str] = {}
        missing: dict[Block, str] = {}
        for block in blocks:
            found = run_of(column, block, protocol)
            reason = "" if found else reason_of_gap(column, block)
            if not found and run_missing and reason in (NO_RUN, STALE):
                request = choice.request(protocol, target=column.target, device=device)
                found = request.run(column.store, list(block), save=True).name
            if found:
                runs[block] = found
            else:
                missing[block] = reason
        rows, described = measured(
            column, runs, metric, common, n_boot=n_boot, seed=boot_seed, level=level
        )
        datasets.append(described)
        for block in blocks:
            known = origins.get(block, ())
            cells.append(
                {
                    "feature": row_name(block),
                    "dataset": column.label,
                    "target": column.target,
                    "metric": described["metric"],
                    **rows.get(block, EMPTY),
                    "in_domain": is_in_domain(known, column) if known else None,
                    "missing": missing.get(block, ""),
                }
            )
    frame = pd.DataFrame(cells).astype({"in_domain": object})
    return CrossDomain(
        cells=frame,
        features=_summary(frame, blocks, origins),
        datasets=pd.DataFrame(datasets),
        protocol=_in_words(frame, columns, protocol, choice),
        notes=(*notes, *_column_notes(frame, pd.DataFrame(datasets))),
        level=level,
    )


def _blocks(
    stores: Mapping[str, FeatureStore], features: Sequence[str | Sequence[str]] | None
) -> list[Block]:
    if features is not None:
        chosen = [(f,) if isinstance(f, str) else tuple(f) for f in features]
        known = {name for store in stores.values() for name in store.features}
        for name in (name for block in chosen for name in block):
            if name not in known:
                next(iter(stores.values())).feature(name)  # says which features there are
    else:
        chosen = [(name,) for store in stores.values() for name in store.features]
    blocks = list(dict.fromkeys(chosen))
    if not blocks:
        raise InvalidInputError(f"{', '.join(stores)} have no features; extract some first")
    return blocks


def _columns(
    stores: Mapping[str, FeatureStore], targets: Sequence[str] | None, choice: RunChoice
) -> list[Column]:
    columns = []
    for label, store in stores.items():
        if targets is None:
            names = [store.target()[0]]
        else:
            names = [name for name in dict.fromkeys(targets) if name in store.samples.targets]
            if not names:
                store.target(targets[0])  # says which targets there are
        for target in names:
            shown = label if len(names) == 1 else f"{label}: {target}"
            columns.append(Column(shown, store, target, choice.candidates(store, target)))
    return columns


def _summary(
    cells: pd.DataFrame, blocks: Sequence[Block], origins: Mapping[Block, tuple[str, ...]]
) -> pd.DataFrame:
    whole = cells.groupby("dataset")["missing"].transform(lambda reasons: (reasons == "").all())
    ranks = cells[whole].groupby("feature")["rank"].mean()
    return pd.DataFrame(
        {
            "feature": [row_name(block) for block in blocks],
            "mean_rank": [float(ranks.get(row_name(block), np.nan)) for block in blocks],
            "pretrained_on": ["+".join(origins.get(block, ())) for block in blocks],
        }
    )


def _column_notes(cells: pd.DataFrame, datasets: pd.DataFrame) -> list[str]:
    notes = []
    for column in datasets.to_dict("records"):
        name, left_out = column["dataset"], column["left_out"]
        if left_out:
            notes.append(
                f"{name}: compared on {column['n']} common rows; up to {left_out} rows of a run "
                "were left out"
            )
        there = cells[(cells["dataset"] == name) & (cells["missing"] == "")]
        sizes = sorted(set(there["n_train"]))
        if len(sizes) > 1:
            notes.append(f"{name}: trained on {sizes[0]} to {sizes[-1]} rows, not the same number")
    gaps = cells[cells["missing"] != ""]
    notes += [
        f"{gap['feature']} on {gap['dataset']}: {gap['missing']}" for gap in gaps.to_dict("records")
    ]
    incomplete = sorted(set(gaps["dataset"]))
    if incomplete:
        notes.append(f"mean ranks leave out {', '.join(incomplete)}, which have gaps")
    return notes


def _in_words(
    cells: pd.DataFrame,
    columns: Sequence[Column],
    protocol: Protocol | None,
    choice: RunChoice,
) -> str:
    if protocol is None:
        run = next((name for name in cells["run"] if name), None)
        if run is None:
            return f"{choice.preset or choice.probe or 'no runs'}"
        store = next(column.store for column in columns if run in column.store.runs)
        protocol = protocol_of(store.run(str(run)).config)
    probe, preset, scaling, select, value, seed = protocol[:6]
    given = "" if value is None else f", value {value:g} given"
    return f"{preset} ({probe}), scaling {scaling}, {select} selection{given}, seed {seed}"
