"""evaluate: features, a probe and a protocol become a run."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from featstore.errors import InvalidInputError, SharedGroupsWarning, StorageError
from featstore.groups import Groups
from featstore.head import Head
from featstore.history import environment, record
from featstore.learner import Learner
from featstore.metrics import evaluate_metrics
from featstore.presets import MultiLabelMetric, SingleLabelMetric
from featstore.probe_application import apply_probe
from featstore.probe_arguments import ProbeArguments
from featstore.probe_setup import ProbeSetup
from featstore.procedure import carry_out
from featstore.run import ProbeRun
from featstore.run_config import RunConfig
from featstore.run_name import run_name
from featstore.scaling import BlockScaling, ScalingKind
from featstore.search import SearchKind
from featstore.selection_plan import Rule, SelectBy
from featstore.shelf import Shelf
from featstore.split_parts import SplitParts
from featstore.store import FeatureStore, checked_name


def probe(
    store: FeatureStore | str | Path,
    features: str | Sequence[str],
    *,
    probe: str | None = None,
    preset: str | None = None,
    value: float | None = None,
    target: str | None = None,
    scaling: ScalingKind = "none",
    train: str = "train",
    train_subset: str | None = None,
    val: str | None = None,
    test: str | None = None,
    test_features: str | Sequence[str] | None = None,
    select: SelectBy | None = None,
    folds: int | None = None,
    repeats: int = 1,
    rule: Rule | None = None,
    search: SearchKind | None = None,
    metric: SingleLabelMetric | MultiLabelMetric | None = None,
    groups: str | None = None,
    thresholds: bool = True,
    seed: int = 0,
    device: str = "cpu",
    engine: str = "torch",
    max_memory: int | str | None = None,
    n_boot: int = 1000,
    name: str | None = None,
    save: bool = True,
    keep_fitted: bool = False,
) -> ProbeRun:
    """Fit a probe on stored features and evaluate it.

    The hyper-parameter is chosen on validation rows (the store's validation split, else a
    stratified share of the training rows) or by cross-validation, and the probe is then fitted
    again on training and validation rows together.

    Parameters
    ----------
    store
        The store, or its path.
    features
        One feature, or several to concatenate in this order.
    probe
        ``"logistic"`` (default) or another name that `featstore.registry` knows, with its default
        protocol.
    preset
        A published protocol instead; see `featstore.presets`.
    value
        Take this value of the probe's hyper-parameter (C, k, alpha, …) and choose nothing.
    target
        Label column; the first by default.
    scaling
        Per-block scaling, learned on training rows.
    train, val, test
        Splits.  By default ``test`` is reported on, or ``val`` in stores without a test split.
    test_features
        Features to report on instead, as many, of the same backbones: those of corrupted images.
    train_subset
        A stored subset of the training split: nothing else is fitted.  Without a validation split,
        a share or folds of the subset choose.
    select
        ``"val"``: validation rows choose.  ``"kfold"``: the mean over stratified folds of the
        training rows (and of the validation split, if there is one).  ``"nested"``: outer folds of
        these rows are reported on, each after inner folds of the others have chosen; `test` is not
        touched, and the head of the run is fitted to all rows.  The preset's by default.
    folds
        Of ``"kfold"`` and ``"nested"``; 5 by default.
    repeats
        Draws of the validation share or of the folds, over which scores are averaged.
    rule
        ``"best"``, or ``"one-se"``: the most regularised value within one standard error of the
        best.
    search
        ``"grid"``, ``"bisect"`` or ``"halving"``; see `featstore.search.search`.
    metric
        What the choice maximises: top1, mean_per_class or macro_f1; mAP, mAP_11 or micro_mAP.
    groups
        A label column whose classes are groups (patients, sites) that never come to both sides of
        a division.
    thresholds
        Whether F1 is also reported at thresholds that maximise it on the rows that choose (for
        multi-label targets; one more fit for each division).
    seed
        Of the validation draw, of the bootstrap, and of probes that draw.
    device
        ``"cpu"``, ``"cuda"`` or ``"auto"``.
    engine
        What computes: ``"torch"``; ``"sklearn"`` or ``"cuml"`` for logistic, ridge and svm; for
        kNN ``"faiss"``, which is exact, and ``"faiss-ivf"`` and ``"faiss-hnsw"``, approximate.
    max_memory
        Bytes, or e.g. ``"2GB"``, that the probe may take, see there; None for its quickest way.
    n_boot
        Resamples of the bootstrap intervals.
    name
        Of the run; made from the configuration by default.
    save
        Whether to store the run; without it, stores that cannot be written will do.
    keep_fitted
        Whether the run holds on to the fitted probe, and to all that this keeps in memory, for
        `featstore.apply_probe`.

    Returns
    -------
    run
        With scores of every reported row.

    Raises
    ------
    FeatureNotFoundError, NotSealedError
        If a feature, target or split is not there or not finished.
    InvalidInputError
        If the rows cannot train or test a probe, features hold NaN, or arguments do not fit each
        other.
    StorageError
        If the run is to be stored and the store cannot be written to.

    Warns
    -----
    SharedGroupsWarning
        If groups have rows in training and in the split that chooses or is reported on.
    """
    if not isinstance(store, FeatureStore):
        store = FeatureStore.open(store)
    reported = (test_features,) if isinstance(test_features, str) else tuple(test_features or ())
    arguments = ProbeArguments(
        probe=probe,
        preset=preset,
        value=value,
        target=target,
        scaling=scaling,
        train=train,
        train_subset=train_subset,
        val=val,
        test=test,
        test_features=reported,
        select=select,
        folds=folds,
        repeats=repeats,
        rule=rule,
        search=search,
        metric=metric,
        groups=groups,
        thresholds=thresholds,
        seed=seed,
        device=device,
        engine=engine,
        max_memory=max_memory,
        n_boot=n_boot,
    )
    setup = ProbeSetup.of(store, features, arguments)
    return evaluate(setup, name=name, save=save, keep_fitted=keep_fitted)


def evaluate(
    setup: ProbeSetup,
    *,
    name: str | None = None,
    save: bool = True,
    keep_fitted: bool = False,
    shelf: Shelf | None = None,
) -> ProbeRun:
    """Fit and evaluate what has been set up; see `probe`.

    Parameters
    ----------
    setup
        The question.
    name, save, keep_fitted
        As for `probe`.
    shelf
        What earlier fits of the same features have left: the run has the same bits without.
    """
    store, parts, plan, protocol = setup.store, setup.parts, setup.plan, setup.protocol
    seed, scaling = setup.arguments.seed, setup.arguments.scaling
    if save:
        _check_writable(store)
    if name is not None:
        checked_name(name)
    if name is not None and save:
        asked = (setup.features, setup.target, protocol.name, setup.arguments.test_features)
        _check_free(store, name, asked)
    shared_groups = _warn_of_shared_groups(parts, setup.groups)
    estimator = setup.estimator()
    learner = Learner(estimator, setup.labels, scaling, shelf)
    reported, n_boot = setup.arguments.test_features, setup.arguments.n_boot
    outcome = carry_out(
        store,
        learner,
        protocol.values,
        parts,
        plan,
        groups=setup.groups,
        thresholds=setup.tunes_thresholds,
    )
    config = RunConfig(
        features=setup.features,
        spec_digests=setup.spec_digests,
        dims=tuple(block.shape[1] for block in parts.train.view.blocks),
        target=setup.target,
        probe=protocol.probe,
        preset=protocol.name,
        parameter=estimator.parameter,
        value=outcome.value,
        selected_on=outcome.selected_on,
        scaling=scaling,
        train_split=parts.refit_name,
        test_split=parts.test_name,
        n_train=len(parts.refit),
        n_test=len(outcome.predictions),
        seed=seed,
        select=plan.by,
        folds=0 if plan.by == "val" else plan.folds,
        repeats=plan.repeats,
        rule=plan.rule,
        search=plan.search,
        metric=plan.metric,
        groups=setup.arguments.groups,
        shared_groups=shared_groups,
        thresholds_on=outcome.thresholds_on,
        nonlinear=bool(getattr(estimator, "nonlinear", False)),
        train_subset=setup.arguments.train_subset,
        train_subset_digest=setup.subset_digest,
    )
    run = ProbeRun(
        name=name or run_name(config),
        config=config,
        predictions=outcome.predictions,
        metrics=evaluate_metrics(
            outcome.predictions,
            thresholds=outcome.thresholds,
            eleven_points=plan.metric == "mAP_11",
            n_boot=n_boot,
            seed=seed,
        ),
        selection=outcome.curve,
        certificate=_certificate(estimator),
        head=_head(estimator, outcome.blocks),
        provenance=environment(),
        fold_scores=outcome.fold_scores,
        thresholds=outcome.thresholds,
        request=setup.digest,
        fitted=learner.kept(outcome.blocks, parts.refit) if keep_fitted or reported else None,
    )
    if reported:
        run = apply_probe(store, run, reported, n_boot=n_boot, name=name)
        run = dataclasses.replace(run, request=setup.digest)
    if save:
        store.save_run(run)
        record(store.folder, "probe", run=run.name)
    return run


def _check_writable(store: FeatureStore) -> None:
    """Refuse before the work to save a run where that cannot be."""
    try:
        store.folder.child("runs").check_writable()
    except StorageError as error:
        raise StorageError(
            f"{error}; or do not store the run: save=False, on the command line --no-save"
        ) from error


def _check_free(store: FeatureStore, name: str, asked: tuple[object, ...]) -> None:
    """Refuse to replace a run of this name that answers another question."""
    if name not in store.runs:
        return
    config = store.run(name).config
    if (config.features, config.target, config.preset, config.test_features) != asked:
        raise InvalidInputError(
            f"there is a run {name!r} already: {config.preset} on {' + '.join(config.features)} → "
            f"{config.target}, reported on {config.tested_on}; choose another --name, or remove it "
            "with featstore rm"
        )


def _warn_of_shared_groups(parts: SplitParts, groups: Groups | None) -> int:
    """Say which splits share groups; return how many are trained on and reported on."""
    reported = 0
    for count, a, b in parts.shared_groups(groups):
        warnings.warn(
            f"{count} groups have rows in {a} and in {b}; a result on new groups may be lower. "
            "Draw splits that keep groups together, or report on outer folds (nested selection)",
            SharedGroupsWarning,
            stacklevel=4,
        )
        reported += count * (b == parts.test_name)
    return reported


def _certificate(estimator: Any) -> dict[str, Any]:
    certificate = getattr(estimator, "certificate_", None)
    return {} if certificate is None else dataclasses.asdict(certificate)


def _head(estimator: Any, blocks: BlockScaling) -> Head | None:
    if not hasattr(estimator, "coef_"):
        return None
    classes = np.asarray(estimator.classes_)
    link = getattr(estimator, "link_", None)
    return Head(estimator.coef_, estimator.intercept_, classes, blocks, link)
