"""A run's probe, fitted again so that it predicts rows it has not seen."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from digits_store import digits, make_digits_store
from sklearn.linear_model import LogisticRegression

import featstore as fs
from featstore.errors import InvalidInputError, SharedGroupsWarning
from featstore.refit import Refit
from featstore.store import FeatureStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make_digits_store(tmp_path_factory.mktemp("refit") / "d.zarr")


@pytest.fixture(scope="module")
def with_val(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make_digits_store(tmp_path_factory.mktemp("refit") / "v.zarr", val=300, n_train=700)


def test_no_row_is_predicted_by_a_probe_that_saw_it(store: FeatureStore) -> None:
    run = fs.probe(store, "pixels", value=0.5, n_boot=0, save=False)
    refit = Refit.of(store, run.config)
    predictions = refit.out_of_fold(folds=4)
    assert predictions.ids.tolist() == store.view("pixels", split="train").ids.tolist()
    # Against scikit-learn, fold by fold.
    X, y = digits()
    from featstore.folds import stratified_folds

    fold_of = stratified_folds(y[:1000], 4, seed=run.config.seed)
    for fold in range(4):
        rest, held_out = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        model = LogisticRegression(C=0.5, max_iter=5000, tol=1e-8).fit(X[rest], y[rest])
        expected = model.predict_proba(X[held_out])
        np.testing.assert_allclose(predictions.scores[held_out], expected, atol=2e-3)


def test_a_validation_split_is_predicted_by_a_probe_of_the_training_split(
    with_val: FeatureStore,
) -> None:
    run = fs.probe(with_val, "pixels", probe="knn", n_boot=0, save=False)
    assert run.config.train_split == "train+val"
    predictions, words = Refit.of(with_val, run.config).held_out()
    assert words == "val"
    assert predictions.ids.tolist() == with_val.view("pixels", split="val").ids.tolist()
    from featstore.probes import KNNProbe

    X, y = digits()
    model = KNNProbe(int(run.config.value)).fit(X[:700], y[:700])
    np.testing.assert_allclose(predictions.scores, model.predict_proba(X[700:1000]), atol=1e-5)


def test_without_a_validation_split_folds_are(store: FeatureStore) -> None:
    run = fs.probe(store, "pixels", preset="ridge-loo", n_boot=0, save=False)
    predictions, words = Refit.of(store, run.config).held_out(folds=3)
    assert words == "train, 3 folds"
    assert len(predictions) == 1000


def test_a_split_that_chose_and_was_reported_on_is_not_held_out(with_val: FeatureStore) -> None:
    run = fs.probe(with_val, "pixels", probe="knn", val="test", n_boot=0, save=False)
    predictions, words = Refit.of(with_val, run.config).held_out()
    assert words == "train, 5 folds"
    assert len(predictions) == 700


def test_groups_stay_together(store: FeatureStore) -> None:
    options = {"target": "tags", "groups": "digit", "value": 0.1, "select": "kfold"}
    with pytest.warns(SharedGroupsWarning):
        run = fs.probe(store, "pixels", n_boot=0, save=False, **options)
    refit = Refit.of(store, run.config)
    assert refit.groups is not None
    assert refit.out_of_fold(folds=3).scores.shape == (1000, 3)


def test_rows_that_have_changed_are_refused(store: FeatureStore) -> None:
    run = fs.probe(store, "pixels", value=0.5, n_boot=0, save=False)
    other = dataclasses.replace(run.config, n_train=999)
    with pytest.raises(InvalidInputError, match="trained on 999 rows of pixels"):
        Refit.of(store, other)
    other = dataclasses.replace(run.config, spec_digests=("0" * 64,))
    with pytest.raises(InvalidInputError, match="another feature of this name"):
        Refit.of(store, other)
    other = dataclasses.replace(run.config, train_split="training")
    with pytest.raises(InvalidInputError, match="no split 'training'"):
        Refit.of(store, other)
