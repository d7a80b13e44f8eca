"""corruption_drop: a probe of clean features, reported on those of corrupted images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from featstore.analysis.corruption_drop import CorruptionDrop
from featstore.analysis.corruption_drop import corruption_drop as drop_of_predictions
from featstore.corruptions import Corruption
from featstore.errors import InvalidInputError
from featstore.history import record
from featstore.predictions import Predictions
from featstore.probe_application import apply_probe
from featstore.probe_request import ProbeRequest
from featstore.run import ProbeRun
from featstore.scaling import ScalingKind
from featstore.selection_plan import SelectBy
from featstore.store import FeatureStore


def corruption_drop(
    store: FeatureStore | str | Path,
    features: str | Sequence[str],
    *,
    only: Sequence[str] | None = None,
    baseline: str | Sequence[str] | None = None,
    probe: str | None = None,
    preset: str | None = None,
    value: float | None = None,
    target: str | None = None,
    scaling: ScalingKind = "none",
    train: str = "train",
    val: str | None = None,
    test: str | None = None,
    select: SelectBy | None = None,
    seed: int = 0,
    device: str = "cpu",
    n_boot: int = 1000,
    save: bool = True,
) -> CorruptionDrop:
    """Fit a probe to clean features and see how it does on those of corrupted images.

    The probe is fitted once.  Runs that the store has already are used again.

    Parameters
    ----------
    store
        The store, or its path.
    features
        A feature of clean images, or several to concatenate.
    only
        Labels of corruptions, such as ``"jpeg10"``; by default all that the features have been
        extracted with.
    baseline
        Another feature, or several, by whose errors those of `features` are divided.
    probe, preset, value, target, scaling, train, val, test, select, seed, device, n_boot, save
        As in `featstore.probe`.

    Returns
    -------
    drop
        See `featstore.analysis.corruption_drop.CorruptionDrop`.

    Raises
    ------
    InvalidInputError
        If the features are of corrupted images, or there are none of corrupted ones.
    """
    if not isinstance(store, FeatureStore):
        store = FeatureStore.open(store)
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
    clean, others = _answers(store, request, _listed(features), only, save=save)
    reference: tuple[Predictions, Mapping[str, Predictions]] | None = None
    if baseline is not None:
        base, base_others = _answers(store, request, _listed(baseline), list(others), save=save)
        reference = base.predictions, _predictions(base_others)
    return drop_of_predictions(
        clean.predictions, _predictions(others), baseline=reference, n_boot=n_boot, seed=seed
    )


def corrupted_features(store: FeatureStore, features: Sequence[str]) -> dict[str, list[str]]:
    """Return the features of corrupted images that go with some of clean ones, by corruption.

    Raises
    ------
    InvalidInputError
        If one of `features` is of corrupted images itself.
    """
    found: list[dict[Corruption, str]] = []
    sealed = [info for name in store.features if (info := store.feature(name)).sealed]
    for name in features:
        (block,) = store.view(name).blocks
        if block.spec.corruption is not None:
            raise InvalidInputError(
                f"{name} is of images with {block.spec.corruption.label}; name a feature of clean "
                "images to start from"
            )
        found.append(
            {
                info.spec.corruption: info.name
                for info in sealed
                if info.spec.corruption is not None
                and dataclasses.replace(info.spec, corruption=None).digest == block.spec.digest
            }
        )
    common = [one for one in found[0] if all(one in others for others in found)]
    return {one.label: [others[one] for others in found] for one in common}


def _answers(
    store: FeatureStore,
    request: ProbeRequest,
    features: list[str],
    only: Sequence[str] | None,
    *,
    save: bool,
) -> tuple[ProbeRun, dict[str, ProbeRun]]:
    """Return runs on clean images and, by corruption, on corrupted ones; fit at most once."""
    known = corrupted_features(store, features)
    wanted = list(known) if only is None else list(only)
    missing = [label for label in wanted if label not in known]
    if missing or not wanted:
        has = ", ".join(known) or "none"
        raise InvalidInputError(
            f"{store.location} has no features of {' + '.join(features)} on images with "
            f"{', '.join(missing) or 'a corruption'} (it has: {has}); extract them with "
            f"`featstore extract … --corrupt {missing[0] if missing else 'paper'}`"
        )
    clean = request.stored(store, features)
    runs: dict[str, ProbeRun] = {}
    for label in wanted:
        asked = dataclasses.replace(request, test_features=tuple(known[label]))
        if (run := asked.stored(store, features)) is not None:
            runs[label] = run
    lacking = [label for label in wanted if label not in runs]
    if clean is None or lacking:
        fitted = request.run(store, features, save=save, keep_fitted=True)
        clean = clean or fitted
        for label in lacking:
            runs[label] = apply_probe(store, fitted, known[label], n_boot=request.n_boot)
            if save:
                store.save_run(runs[label])
                record(store.folder, "probe", run=runs[label].name)
    return clean, {label: runs[label] for label in wanted}


def _predictions(runs: Mapping[str, ProbeRun]) -> dict[str, Predictions]:
    return {label: run.predictions for label, run in runs.items()}


def _listed(features: str | Sequence[str]) -> list[str]:
    return [features] if isinstance(features, str) else list(features)
