"""Limits: what a run's own record says against trusting its numbers."""

from __future__ import annotations

import numpy as np

from featstore.run import ProbeRun
from featstore.store import FeatureStore
from featstore.typeset.markdown import escaped

#: Test rows of a class below which its accuracy is hardly known.
_FEW = 10
_NAMED = 5


def limits(store: FeatureStore, run: ProbeRun) -> str:
    """Return a list in Markdown of what follows from the record, at least one line.

    Parameters
    ----------
    store, run
        The run and where it is.
    """
    config, predictions = run.config, run.predictions
    found = [
        f"The numbers hold for images like those of {config.tested_on}: of the same source, "
        "cameras and shares of classes."
    ]
    if config.selected_on_test:
        found.append(
            f"{config.parameter} was selected on the reported rows: the numbers are optimistic."
        )
    if config.nonlinear:
        found.append("The probe is not linear: the numbers are no linear evaluation.")
    if config.shared_groups:
        found.append(
            f"{config.shared_groups} classes of `{config.groups}` have rows in training and among "
            "those reported on: a result on new ones may be lower."
        )
    if run.at_edge:
        found.append(f"The chosen {config.parameter} is at the edge of the values tried.")
    unseen = [n for n, seen in zip(predictions.classes, predictions.seen, strict=True) if not seen]
    if unseen:
        found.append(
            f"{len(unseen)} classes have no training row and are never predicted: {_named(unseen)}."
        )
    truth = predictions.truth
    support = (
        truth.sum(axis=0)
        if predictions.multilabel
        else np.bincount(truth, minlength=predictions.n_classes)
    )
    few = [n for n, count in zip(predictions.classes, support, strict=True) if count < _FEW]
    if few:
        found.append(
            f"{len(few)} of {predictions.n_classes} classes have fewer than {_FEW} test rows, too "
            f"few to know their accuracy: {_named(few)}."
        )
    excluded = {
        row
        for name in config.features
        if name in store.features
        for row in store.feature(name).excluded
    }
    if excluded:
        found.append(f"{len(excluded)} images could not be read and are in no number.")
    gone = [name for name in config.features if name not in store.features]
    if gone:
        found.append(f"The store has no feature {', '.join(gone)} any more.")
    return "\n".join(f"- {sentence}" for sentence in found)


def _named(names: list[str]) -> str:
    return ", ".join(map(escaped, names[:_NAMED])) + (", …" if len(names) > _NAMED else "")
