"""label_noise: rows of a store whose labels a run's probe and their neighbours do not believe."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from featstore import registry
from featstore.analysis.label_noise import LabelNoise
from featstore.analysis.label_noise import label_noise as label_noise_of_scores
from featstore.errors import InvalidInputError
from featstore.parts import Part
from featstore.refit import Refit
from featstore.run import ProbeRun
from featstore.store import FeatureStore


def label_noise(
    store: FeatureStore | str | Path,
    run: ProbeRun | str,
    *,
    rows: Literal["train", "test"] = "train",
    folds: int = 5,
    k: int = 10,
    device: str = "cpu",
    max_memory: int | str | None = None,
) -> LabelNoise:
    """Find candidates for wrong labels among the rows that a run was trained or tested on.

    No row is judged by a probe that was fitted to it.  Training rows are predicted by the run's
    probe, with the run's value, after fits to the other folds; the predictions of test rows are
    those stored.  Neighbours are training rows, by cosine, and a training row is not its own.

    Parameters
    ----------
    store
        The store, or its path.
    run
        A stored run, or its name.
    rows
        Which rows: of a run with outer folds, both are the same.
    folds
        For training rows.
    k
        Neighbours that vote, each with the same weight; 0 for none.
    device, max_memory
        Of the probe and of the search for neighbours.

    Returns
    -------
    noise
        See `featstore.analysis.label_noise`.

    Raises
    ------
    FeatureNotFoundError, NotSealedError
        If the run is not there, or its features or splits are not any more.
    InvalidInputError
        If the run is multi-label, its rows have changed, or arguments do not fit.
    """
    if rows not in ("train", "test"):
        raise InvalidInputError(f"rows are 'train' or 'test', got {rows!r}")
    if not isinstance(store, FeatureStore):
        store = FeatureStore.open(store)
    if not isinstance(run, ProbeRun):
        run = store.run(run)
    if run.predictions.multilabel:
        raise InvalidInputError(
            f"{run.name} is multi-label; label noise is looked for where each row has one label"
        )
    nested = run.config.nested
    if rows == "test" and k == 0 and not nested:
        return label_noise_of_scores(run.predictions)  # needs no feature
    refit = Refit.of(store, run.config, device=device)
    within = rows == "train" or nested
    stored = nested or not within
    predictions = run.predictions if stored else refit.out_of_fold(folds=folds)
    queries = refit.parts.refit if within else refit.parts.test
    if not np.array_equal(predictions.ids, queries.view.ids):
        raise InvalidInputError(
            f"{run.name} has predictions of {len(predictions)} rows, and the store's split "
            f"{run.config.test_split!r} other ones; run the probe again"
        )
    votes = None
    if k:
        votes = neighbour_votes(
            refit.parts.refit,
            None if within else queries,
            n_classes=predictions.n_classes,
            k=k,
            device=device,
            max_memory=max_memory,
        )
    return label_noise_of_scores(predictions, votes)


def neighbour_votes(
    train: Part,
    queries: Part | None,
    *,
    n_classes: int,
    k: int,
    device: str = "cpu",
    max_memory: int | str | None = None,
) -> NDArray[np.float64]:
    """Shares of the votes of the k nearest training rows, shape (n, c).

    Parameters
    ----------
    train
        Rows that vote.
    queries
        Rows that are voted on; without them the training rows, each by the others.
    n_classes
        Columns of the result: classes without a training row get no vote.
    k
        Neighbours.
    device, max_memory
        Of the search.
    """
    probe: Any = registry.probe("knn")(
        k=k, weights="uniform", device=device, max_memory=max_memory
    ).fit(train.view, train.labels)
    found = probe.leave_one_out() if queries is None else probe.predict_proba(queries.view)
    votes = np.zeros((len(found), n_classes))
    votes[:, probe.classes_] = found
    return votes
