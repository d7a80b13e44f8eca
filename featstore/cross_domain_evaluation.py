"""cross_domain: features against data sets, from the runs of several stores."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from featstore.analysis.outcomes import PairedMetric, outcomes
from featstore.bootstrap import bootstrap
from featstore.cross_domain_table import CrossDomain
from featstore.errors import InvalidInputError, SpecMismatchError
from featstore.intervals import percentile
from featstore.run_choice import Protocol, RunChoice, protocol_of
from featstore.run_config import RunConfig
from featstore.scaling import ScalingKind
from featstore.selection_plan import SelectBy
from featstore.spec import FeatureSpec
from featstore.store import FeatureStore

Block = tuple[str, ...]
Location = FeatureStore | str | Path


@dataclass(frozen=True, eq=False)
class _Column:
    """A data set: a store and one of its targets, with the runs that may stand in it."""

    label: str
    store: FeatureStore
    target: str
    candidates: Mapping[str, RunConfig]


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

    All runs of the table were made in one way: same probe, preset, scaling, selection and seed.  Where
    the stores hold runs made in several ways, arguments must choose.  A feature without a run on a
    data set is a gap with its reason, or is evaluated now (`run_missing`).

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
    named = _named(stores)
    blocks = _blocks(named, features)
    columns = _columns(named, targets, choice)
    wanted = [
        config
        for column in columns
        for config in column.candidates.values()
        if config.features in blocks
    ]
    protocol = choice.only_protocol(wanted)
    notes = _check_specs(named, blocks)
    origins = _origins(named, blocks, pretrained_on or {})
    cells: list[dict[str, object]] = []
    datasets: list[dict[str, object]] = []
    for column in columns:
        runs: dict[Block, str] = {}
        missing: dict[Block, str] = {}
        for block in blocks:
            found = _run_of(column, block, protocol)
            reason = "" if found else _reason(column, block)
            if not found and run_missing and reason in (_NO_RUN, _STALE):
                request = choice.request(protocol, target=column.target, device=device)
                found = request.run(column.store, list(block), save=True).name
            if found:
                runs[block] = found
            else:
                missing[block] = reason
        rows, described = _measured(
            column, runs, metric, common, n_boot=n_boot, seed=boot_seed, level=level
        )
        datasets.append(described)
        for block in blocks:
            known = origins.get(block, ())
            cells.append(
                {
                    "feature": _name(block),
                    "dataset": column.label,
                    "target": column.target,
                    "metric": described["metric"],
                    **rows.get(block, _EMPTY),
                    "in_domain": _same(known, column) if known else None,
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


_NO_RUN = "no run of this protocol"
_STALE = "the feature has changed since its run"
_EMPTY: dict[str, object] = {
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


def _named(stores: Sequence[Location] | Mapping[str, Location]) -> dict[str, FeatureStore]:
    if isinstance(stores, Mapping):
        pairs = [(str(name), store) for name, store in stores.items()]
    else:
        if isinstance(stores, str | Path | FeatureStore):
            stores = [stores]
        opened = [s if isinstance(s, FeatureStore) else FeatureStore.open(s) for s in stores]
        stems = [PurePosixPath(store.location.rstrip("/")).stem for store in opened]
        clash = len(set(stems)) < len(stems)
        pairs = [
            (store.location if clash else stem, store)
            for stem, store in zip(stems, opened, strict=True)
        ]
    if not pairs:
        raise InvalidInputError("name at least one store")
    named = {
        name: store if isinstance(store, FeatureStore) else FeatureStore.open(store)
        for name, store in pairs
    }
    if len(named) < len(pairs):
        raise InvalidInputError(f"a store is named twice: {', '.join(name for name, _ in pairs)}")
    return named


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
) -> list[_Column]:
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
            columns.append(_Column(shown, store, target, choice.candidates(store, target)))
    return columns


def _run_of(column: _Column, block: Block, protocol: Protocol | None) -> str | None:
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
            f"{len(fit)} runs of {_name(block)} on {column.label} fit, and differ in "
            f"{', '.join(differ) or 'nothing but their names'}: {', '.join(fit)}. Choose with "
            "--test, or remove those not meant (featstore rm)"
        )
    return next(iter(fit), None)


def _digests(store: FeatureStore, block: Block) -> tuple[str, ...] | None:
    known = store.features
    if any(name not in known for name in block):
        return None
    return tuple(store.feature(name).spec.digest for name in block)


def _reason(column: _Column, block: Block) -> str:
    """Say why a cell is empty."""
    known = column.store.features
    if lacking := [name for name in block if name not in known]:
        return f"the store has no feature {', '.join(lacking)}"
    if open_ := [name for name in block if not column.store.feature(name).sealed]:
        return f"{', '.join(open_)} is not completely extracted"
    stale = any(config.features == block for config in column.candidates.values())
    return _STALE if stale else _NO_RUN


def _measured(
    column: _Column,
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

    def loaded() -> object:
        for block, name in runs.items():
            run = column.store.run(name)
            configs[block] = run.config
            digests.append(run.predictions.rows_digest)
            yield _name(block), run.predictions

    try:
        rows = outcomes(loaded(), metric=chosen, common=common)  # type: ignore[arg-type]
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


def _check_specs(stores: Mapping[str, FeatureStore], blocks: Sequence[Block]) -> list[str]:
    """Check that a name means one backbone in all stores; say where nobody can know."""
    notes = []
    for name in dict.fromkeys(name for block in blocks for name in block):
        specs = {
            label: _portable(store.feature(name).spec)
            for label, store in stores.items()
            if name in store.features
        }
        for label, spec in list(specs.items())[1:]:
            first = next(iter(specs))
            if spec.digest != specs[first].digest:
                lines = "\n  ".join(specs[first].differences(spec))
                raise SpecMismatchError(
                    f"feature {name!r} was made in different ways ({first} | {label}):\n  {lines}\n"
                    "One row of a table is one backbone; give them names of their own, or leave it "
                    "out with --features"
                )
        if len(specs) > 1 and any(spec.transform is None for spec in specs.values()):
            notes.append(
                f"feature {name!r} was imported: that it is the same in all stores is what you "
                "say, not what featstore knows"
            )
    return notes


def _portable(spec: FeatureSpec) -> FeatureSpec:
    """Return a spec without the rows it was computed on, to compare across stores."""
    backbone = spec.backbone
    if spec.transform is None:  # the checksum of imported values stands where that of weights does
        backbone = dataclasses.replace(backbone, source="", weights="", weights_digest="")
    return dataclasses.replace(spec, backbone=backbone, samples_digest="")


def _origins(
    stores: Mapping[str, FeatureStore],
    blocks: Sequence[Block],
    given: Mapping[str, str | Sequence[str]],
) -> dict[Block, tuple[str, ...]]:
    """Data sets that each row was pretrained on, where somebody said."""
    names = {name for block in blocks for name in block}
    if unknown := [name for name in given if name not in names]:
        raise InvalidInputError(
            f"pretrained_on names {unknown[0]!r}, which is no row; rows: {', '.join(sorted(names))}"
        )
    origins: dict[str, tuple[str, ...]] = {}
    for name in names:
        told = given.get(name)
        if told is not None:
            origins[name] = (told,) if isinstance(told, str) else tuple(told)
            continue
        for store in stores.values():
            if name in store.features and (
                known := store.feature(name).spec.backbone.pretrained_on
            ):
                origins[name] = known
                break
    return {
        block: tuple(dict.fromkeys(o for name in block for o in origins[name]))
        for block in blocks
        if all(name in origins for name in block)
    }


def _same(origins: Sequence[str], column: _Column) -> bool:
    label = column.label.removesuffix(f": {column.target}").casefold()
    return label in {name.casefold() for name in origins}


def _summary(
    cells: pd.DataFrame, blocks: Sequence[Block], origins: Mapping[Block, tuple[str, ...]]
) -> pd.DataFrame:
    whole = cells.groupby("dataset")["missing"].transform(lambda reasons: (reasons == "").all())
    ranks = cells[whole].groupby("feature")["rank"].mean()
    return pd.DataFrame(
        {
            "feature": [_name(block) for block in blocks],
            "mean_rank": [float(ranks.get(_name(block), np.nan)) for block in blocks],
            "pretrained_on": ["+".join(origins.get(block, ())) for block in blocks],
        }
    )


def _column_notes(cells: pd.DataFrame, datasets: pd.DataFrame) -> list[str]:
    notes = []
    for column in datasets.itertuples():
        if column.left_out:
            notes.append(
                f"{column.dataset}: compared on {column.n} common rows; up to {column.left_out} "
                "rows of a run were left out"
            )
        there = cells[(cells["dataset"] == column.dataset) & (cells["missing"] == "")]
        sizes = sorted(set(there["n_train"]))
        if len(sizes) > 1:
            notes.append(
                f"{column.dataset}: trained on {sizes[0]} to {sizes[-1]} rows, not the same number"
            )
    gaps = cells[cells["missing"] != ""]
    notes += [f"{gap.feature} on {gap.dataset}: {gap.missing}" for gap in gaps.itertuples()]
    incomplete = sorted(set(gaps["dataset"]))
    if incomplete:
        notes.append(f"mean ranks leave out {', '.join(incomplete)}, which have gaps")
    return notes


def _in_words(
    cells: pd.DataFrame,
    columns: Sequence[_Column],
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


def _name(block: Block) -> str:
    return " + ".join(block)
