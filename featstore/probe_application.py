"""apply_probe: a fitted probe reported on other features of the same samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from featstore.errors import InvalidInputError
from featstore.metrics import evaluate_metrics
from featstore.parts import labelled_part
from featstore.run import ProbeRun
from featstore.run_name import run_name
from featstore.store import FeatureStore
from featstore.view import FeatureView


def apply_probe(
    store: FeatureStore,
    run: ProbeRun,
    features: Sequence[str],
    *,
    n_boot: int = 1000,
    name: str | None = None,
) -> ProbeRun:
    """Report a fitted probe on other features, such as those of corrupted images.

    Parameters
    ----------
    store
        The store of the run.
    run
        Fitted just now, with ``keep_fitted=True``.
    features
        As many as the run's, in the same order, each of the same backbone.
    n_boot
        Resamples of the bootstrap intervals.
    name
        Of the new run; made from the configuration by default.

    Returns
    -------
    run
        On the same split, not stored yet; whatever was chosen and fitted is the old run's.

    Raises
    ------
    InvalidInputError
        If the probe is gone, has seen the reported rows, or the features are not of the backbones
        that it was fitted on.
    """
    config = run.config
    if run.fitted is None:
        raise InvalidInputError(
            f"the probe of {run.name} is not in memory; fit it again with keep_fitted=True"
        )
    names = list(features)
    check_features(store, list(config.features), names, nested=config.nested)
    labels = store.target(config.target)[1]
    part = labelled_part(store, names, labels, config.test_split)
    predictions = run.fitted.predict(part.view, part.labels)
    thresholds = run.thresholds
    if thresholds is not None:
        source = np.zeros(len(predictions), thresholds.source.dtype)
        thresholds = dataclasses.replace(thresholds, source=source)
    changed = dataclasses.replace(
        config,
        n_test=len(predictions),
        test_features=tuple(names),
        test_spec_digests=tuple(block.spec.digest for block in part.view.blocks),
    )
    return dataclasses.replace(
        run,
        name=name or run_name(changed),
        config=changed,
        predictions=predictions,
        metrics=evaluate_metrics(
            predictions,
            thresholds=thresholds,
            eleven_points=config.metric == "mAP_11",
            n_boot=n_boot,
            seed=config.seed,
        ),
        thresholds=thresholds,
        fitted=None,
        request="",  # the old run's is another question
    )


def check_features(
    store: FeatureStore, fitted: list[str], reported: list[str], *, nested: bool
) -> None:
    """Refuse features that a probe of others cannot be reported on.

    Raises
    ------
    InvalidInputError
        As `apply_probe`.
    """
    if nested:
        raise InvalidInputError(
            "nested selection reports each row by a probe of the other folds, and the probe that "
            "remains was fitted to all of them; choose by --select val or kfold for other features"
        )
    if len(fitted) != len(reported):
        raise InvalidInputError(
            f"the probe is fitted on {' + '.join(fitted)}; name as many features to report on, in "
            f"the same order, not {' + '.join(reported) or 'none'}"
        )
    blocks = zip(store.view(fitted).blocks, store.view(reported).blocks, strict=True)
    for a, b in blocks:
        differences = _differences(a, b)
        if differences:
            raise InvalidInputError(
                f"{b.name} is not {a.name} on other images: {'; '.join(differences)}; extract it "
                "with the same backbone and transform"
            )


def _differences(a: FeatureView, b: FeatureView) -> list[str]:
    """List what differs in how values are made, but for corruption and stored precision."""
    alike = dataclasses.replace(b.spec, corruption=a.spec.corruption, dtype=a.spec.dtype)
    if a.spec.digest == alike.digest:
        return []
    labels = ("backbone.source:", "backbone.weights:")
    return [line for line in a.spec.differences(alike) if not line.startswith(labels)]
