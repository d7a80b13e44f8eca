"""evaluate: features, a probe and a protocol become a run."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.estimator import Estimator
from featstore.history import environment, record
from featstore.metrics import evaluate_metrics
from featstore.parts import Part, draw_validation, joined, labelled_part, rows_of
from featstore.predictions import Predictions
from featstore.presets import DEFAULT_PRESETS, PRESETS, Preset, preset
from featstore.registry import probe as probe_class
from featstore.registry import probes
from featstore.run import Head, ProbeRun, RunConfig
from featstore.samples import Target
from featstore.scaled import ScaledView
from featstore.scaling import BlockScaling, ScalingKind
from featstore.search import Trial, best_trial, search
from featstore.spec import digest
from featstore.store import FeatureStore, checked_name
from featstore.view import View

_NAME_LENGTH = 120


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
    val: str | None = None,
    test: str | None = None,
    seed: int = 0,
    device: str = "cpu",
    engine: Literal["torch", "faiss", "faiss-ivf", "faiss-hnsw"] = "torch",
    n_boot: int = 1000,
    name: str | None = None,
    save: bool = True,
) -> ProbeRun:
    """Fit a probe on stored features and evaluate it.

    The hyper-parameter is chosen on validation rows (the store's validation split, else a
    stratified share of the training rows), and the probe is then fitted again on training and
    validation rows together.

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
    seed
        Of the validation draw, of the bootstrap, and of probes that draw.
    device
        ``"cpu"``, ``"cuda"`` or ``"auto"``.
    engine
        What searches neighbours (kNN): ``"torch"`` and ``"faiss"`` are exact, ``"faiss-ivf"`` and
        ``"faiss-hnsw"`` approximate.
    n_boot
        Resamples of the bootstrap intervals.
    name
        Of the run; made from the configuration by default.
    save
        Whether to store the run.

    Returns
    -------
    run
        With scores of every test row.

    Raises
    ------
    FeatureNotFoundError, NotSealedError
        If a feature, target or split is not there or not finished.
    InvalidInputError
        If the rows cannot train or test a probe, or features hold NaN.
    """
    if not isinstance(store, FeatureStore):
        store = FeatureStore.open(store)
    protocol = _protocol(probe, preset, value)
    names = [features] if isinstance(features, str) else list(features)
    target_name, labels = store.target(target)
    if name is not None:
        _check_free(store, checked_name(name), tuple(names), target_name, protocol.name)
    test_split, val_split = _splits(store, train, val, test)
    train_part = labelled_part(store, names, labels, train)
    test_part = labelled_part(store, names, labels, test_split)
    val_part = labelled_part(store, names, labels, val_split) if val_split else None

    estimator = _estimator(protocol, device=device, engine=engine, seed=seed)
    if getattr(estimator, "needs_tokens", False):
        estimator.set_params(n_tokens=_n_tokens(train_part.view, protocol))
    trials: list[Trial] = []
    chosen = protocol.values[0] if protocol.values else None
    selected_on = "fixed"
    if len(protocol.values) > 1:
        if val_part is None:
            fit_part, choose_part = _divided(store, names, train_part, protocol, seed)
            selected_on = f"{protocol.val_fraction:.0%} of {train}"
        else:
            fit_part, choose_part, selected_on = train_part, val_part, str(val_split)
        trials = _select(estimator, protocol, labels, fit_part, choose_part, scaling)
        chosen = best_trial(trials, ties=_ties(estimator)).value

    train_split = train
    if val_part is not None and val_split != test_split:
        train_part = joined(store, names, [train_part, val_part])
        train_split = f"{train}+{val_split}"
    blocks = BlockScaling.fit(train_part.view, scaling)
    if chosen is not None:
        estimator.set_params(**{estimator.parameter: estimator.parameter_type(chosen)})
    estimator.fit(_matrix(estimator, blocks, train_part.view), train_part.labels)
    if chosen is None:
        chosen, rule = _own_choice(estimator)
        selected_on = f"{train_split}, {rule}" if rule else "fixed"
    predictions = _predict(estimator, blocks, labels, train_part, test_part)
    config = RunConfig(
        features=tuple(names),
        spec_digests=tuple(block.spec.digest for block in train_part.view.blocks),
        dims=tuple(block.shape[1] for block in train_part.view.blocks),
        target=target_name,
        probe=protocol.probe,
        preset=protocol.name,
        parameter=estimator.parameter,
        value=chosen,
        selected_on=selected_on,
        scaling=scaling,
        train_split=train_split,
        test_split=test_split,
        n_train=len(train_part.labels),
        n_test=len(test_part.labels),
        seed=seed,
        nonlinear=bool(getattr(estimator, "nonlinear", False)),
    )
    run = ProbeRun(
        name=name or _run_name(config),
        config=config,
        predictions=predictions,
        metrics=evaluate_metrics(predictions, n_boot=n_boot, seed=seed),
        selection=_selection_frame(trials, chosen),
        certificate=_certificate(estimator),
        head=_head(estimator, blocks),
        provenance=environment(),
    )
    if save:
        store.save_run(run)
        record(store.folder, "probe", run=run.name)
    return run


def _protocol(probe: str | None, name: str | None, value: float | None) -> Preset:
    if name is None:
        probe = probe or "logistic"
        probe_class(probe)  # says which probes there are
        name = DEFAULT_PRESETS.get(probe, probe)
    if name in probes() and name not in PRESETS:
        chosen = Preset(name, name, (), "the defaults of a plugin")
    else:
        chosen = preset(name)
    if probe is not None and probe != chosen.probe:
        raise InvalidInputError(
            f"preset {name!r} is a {chosen.probe} protocol; it cannot run with the probe {probe!r}"
        )
    if value is None:
        return chosen
    estimator = probe_class(chosen.probe)
    if not 0 <= value < math.inf:
        raise InvalidInputError(f"{estimator.parameter} is positive and finite, got {value:g}")
    if value != estimator.parameter_type(value):
        raise InvalidInputError(f"{estimator.parameter} is a whole number, got {value:g}")
    return dataclasses.replace(chosen, values=(value,))


def _check_free(
    store: FeatureStore, name: str, features: tuple[str, ...], target: str, preset_name: str
) -> None:
    """Refuse to replace a run of this name that answers another question."""
    if name not in store.runs:
        return
    config = store.run(name).config
    if (config.features, config.target, config.preset) != (features, target, preset_name):
        raise InvalidInputError(
            f"there is a run {name!r} already: {config.preset} on {' + '.join(config.features)} → "
            f"{config.target}; choose another --name, or remove it with featstore rm"
        )


def _splits(
    store: FeatureStore, train: str, val: str | None, test: str | None
) -> tuple[str, str | None]:
    """Which split is reported on, and which one chooses hyper-parameters (None: a draw)."""
    known = store.samples.split_names
    if test is None:
        test = next((split for split in ("test", "val") if split in known), "test")
    if val is None and "val" in known and test != "val" and train != "val":
        val = "val"
    if val == train:
        raise InvalidInputError(
            f"{train!r} cannot choose hyper-parameters for a probe that is trained on it; leave "
            "--val out to have a share of it set aside"
        )
    if train == test:
        raise InvalidInputError(
            f"the probe would be tested on the rows it is trained on ({train!r}); choose another "
            "--test split"
        )
    return test, val


def _divided(
    store: FeatureStore, names: list[str], train: Part, protocol: Preset, seed: int
) -> tuple[Part, Part]:
    """Training rows divided into those to fit on and those to choose on."""
    chosen = draw_validation(train.labels, protocol.val_fraction, seed)
    fit = rows_of(store, names, [train], train.view.rows[~chosen])
    return fit, rows_of(store, names, [train], train.view.rows[chosen])


def _select(
    estimator: Estimator,
    protocol: Preset,
    labels: Target,
    fit: Part,
    choose: Part,
    scaling: ScalingKind,
) -> list[Trial]:
    blocks = BlockScaling.fit(fit.view, scaling)
    X, queries = _matrix(estimator, blocks, fit.view), _matrix(estimator, blocks, choose.view)
    values = protocol.values
    if getattr(estimator, "counts_rows", False):
        values = tuple(k for k in values if k <= len(X)) or (float(len(X)),)

    def score(candidates: Sequence[float]) -> Iterator[Trial]:
        for value, scores in estimator.sweep(X, fit.labels, queries, candidates):
            predictions = _predictions(estimator, scores, labels, fit, choose)
            yield Trial(value, _validation_score(predictions, protocol))

    return search(values, score, kind=protocol.search, ties=_ties(estimator))


def _ties(estimator: Estimator) -> Literal["smaller", "larger"]:
    ties: Literal["smaller", "larger"] = getattr(estimator, "ties", "smaller")
    return ties


def _validation_score(predictions: Predictions, protocol: Preset) -> float:
    metrics = evaluate_metrics(predictions, n_boot=0)
    metric = protocol.multilabel_metric if predictions.multilabel else "top1"
    return float(metrics.set_index("metric")["value"][metric])


def _estimator(protocol: Preset, **offered: Any) -> Estimator:
    """Make the protocol's estimator, with those of the offered arguments that it takes."""
    estimator: Estimator = probe_class(protocol.probe)(**protocol.arguments)
    taken = estimator.get_params().keys() & offered.keys()
    estimator.set_params(**{name: offered[name] for name in taken})
    return estimator


def _n_tokens(view: View, protocol: Preset) -> int:
    """Tokens of a row of the one feature that a probe over tokens can take."""
    block, *others = view.blocks
    if others:
        raise InvalidInputError(
            f"{protocol.name} attends to the tokens of one feature; it cannot take "
            f"{' + '.join(view.names)} side by side"
        )
    n_tokens = block.spec.backbone.n_tokens
    if n_tokens is None:
        raise InvalidInputError(
            f"{protocol.name} attends to tokens, and {block.name!r} holds one vector per image; "
            "extract its backbone with ?pool=tokens, e.g. --backbone "
            f"'{block.name}-tokens=timm/vit_small_patch14_dinov2?pool=tokens'"
        )
    return n_tokens


def _own_choice(estimator: Estimator) -> tuple[float, str]:
    """Value that a fitted estimator took without being told one, and the rule it went by.

    The rule is empty where the value is the estimator's default.
    """
    rule: str = getattr(estimator, "chosen_by_", "")
    if rule:
        return float(getattr(estimator, f"{estimator.parameter}_")), rule
    return float(estimator.get_params()[estimator.parameter]), ""


def _matrix(estimator: Estimator, blocks: BlockScaling, view: View) -> NDArray[Any] | ScaledView:
    """Scaled values of a view, all finite; in pieces for an estimator that checks them itself."""
    if getattr(estimator, "streams", False):
        return ScaledView(view, blocks)
    X = blocks.apply(view)
    bad = np.flatnonzero(~np.isfinite(X).all(axis=1))
    if len(bad):
        shown = ", ".join(view.ids[bad[:5]].tolist())
        raise InvalidInputError(
            f"{len(bad)} rows of {' + '.join(view.names)} hold NaN or Inf: {shown}"
            f"{', …' if len(bad) > 5 else ''}; extract the feature again, or import it without "
            "these rows"
        )
    return X


def _predict(
    estimator: Estimator, blocks: BlockScaling, labels: Target, train: Part, test: Part
) -> Predictions:
    scores = estimator.predict_proba(_matrix(estimator, blocks, test.view))
    return _predictions(estimator, scores, labels, train, test)


def _predictions(
    estimator: Estimator,
    scores: NDArray[np.floating],
    labels: Target,
    train: Part,
    test: Part,
) -> Predictions:
    """Put the scores of the classes that were trained into the columns of all classes."""
    n_classes = len(labels.classes)
    if labels.kind == "multi":
        full = np.asarray(scores, np.float32)
        seen = np.any(train.labels, axis=0).reshape(n_classes)
    else:
        full = np.zeros((len(scores), n_classes), np.float32)
        full[:, estimator.classes_] = scores
        seen = np.zeros(n_classes, bool)
        seen[estimator.classes_] = True
    return Predictions(test.view.ids, labels.classes, test.labels, full, seen)


def _selection_frame(trials: Sequence[Trial], chosen: float) -> pd.DataFrame:
    rows = [(trial.value, trial.score, trial.value == chosen) for trial in trials]
    return pd.DataFrame(rows, columns=["value", "score", "chosen"])


def _certificate(estimator: Any) -> dict[str, Any]:
    certificate = getattr(estimator, "certificate_", None)
    return {} if certificate is None else dataclasses.asdict(certificate)


def _head(estimator: Any, blocks: BlockScaling) -> Head | None:
    if not hasattr(estimator, "coef_"):
        return None
    classes = np.asarray(estimator.classes_)
    return Head(estimator.coef_, estimator.intercept_, classes, blocks)


def _run_name(config: RunConfig) -> str:
    """Equal configurations get equal names; different ones differ in their last letters."""
    words = f"{config.preset}-{'+'.join(config.features)}-{config.target}"
    # A target may be called what no folder can; the digest tells shortened names apart.
    words = re.sub(r"[^A-Za-z0-9_.+-]+", "_", words)[:_NAME_LENGTH]
    fields = dataclasses.asdict(config)
    if not config.nonlinear:
        del fields["nonlinear"]  # names of runs outlive releases
    return f"{words}-{digest(fields)[:6]}"
