"""Choosing a value: against scikit-learn's searches, and never on the rows that are reported."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from digits_store import TAGS, digits, make_digits_store
from sklearn import metrics as sk
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from small_store import fill

import featstore as fs
from featstore.errors import InvalidInputError, SharedGroupsWarning
from featstore.folds import stratified_folds
from featstore.presets import PRESETS
from featstore.samples import Samples, Target
from featstore.store import FeatureStore

ALPHAS = PRESETS["ridge"].values


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make_digits_store(tmp_path_factory.mktemp("digits") / "d.zarr")


def ridge_search(X: np.ndarray, y: np.ndarray, folds: np.ndarray) -> GridSearchCV:
    grid = {"alpha": list(ALPHAS)}
    return GridSearchCV(RidgeClassifier(), grid, cv=PredefinedSplit(folds)).fit(X, y)


def largest_best(found: GridSearchCV) -> float:
    scores = found.cv_results_["mean_test_score"]
    return max(
        a for a, s in zip(ALPHAS, scores, strict=True) if np.isclose(s, scores.max(), 0, 1e-9)
    )


def test_k_folds_are_scikit_learns_grid_search(store: FeatureStore) -> None:
    run = fs.probe(store, "pixels", probe="ridge", select="kfold", folds=4, n_boot=0, save=False)
    X, y = digits()
    found = ridge_search(
        X[:1000].astype(np.float64), y[:1000], stratified_folds(y[:1000], 4, seed=0)
    )
    expected = np.asarray([found.cv_results_[f"split{fold}_test_score"] for fold in range(4)]).T
    scores = run.fold_scores.pivot(index="value", columns="fold", values="score")
    np.testing.assert_allclose(scores, expected, atol=0.005)  # one row of 250 may be a tie
    np.testing.assert_allclose(scores.mean(axis=1), run.selection["score"])
    np.testing.assert_allclose(scores.std(axis=1, ddof=1) / 2, run.selection["se"])
    assert run.config.value == largest_best(found)
    assert run.config.selected_on == "4 folds of train"
    assert run.config.how_chosen == "chosen on 4 folds of train"
    assert run.selection["rows"].unique().tolist() == [750]
    assert (run.config.n_train, run.config.n_test) == (1000, 797)


def test_nested_is_the_explicit_loop(store: FeatureStore) -> None:
    run = fs.probe(store, "pixels", probe="ridge", select="nested", folds=3, n_boot=0, save=False)
    X, y = digits()
    X, y = X[:1000].astype(np.float64), y[:1000]
    outer = stratified_folds(y, 3, seed=0)
    predicted, chosen = np.empty(1000, np.int64), []
    for fold in range(3):
        fit, held_out = outer != fold, outer == fold
        found = ridge_search(X[fit], y[fit], stratified_folds(y[fit], 3, seed=0))
        chosen.append(largest_best(found))
        model = RidgeClassifier(chosen[-1]).fit(X[fit], y[fit])
        predicted[held_out] = model.predict(X[held_out])
    np.testing.assert_array_equal(run.predictions.predicted, predicted)
    np.testing.assert_array_equal(run.predictions.truth, y)
    scores = run.fold_scores
    ours = scores[scores["chosen"] & (scores["outer"] > 0)].groupby("outer")["value"].first()
    assert ours.tolist() == chosen
    assert run.config.selected_on == "3 folds within each of 3 outer folds of train"
    assert run.config.tested_on == "3 outer folds of train"
    assert not run.config.selected_on_test
    assert (run.config.n_train, run.config.n_test) == (1000, 1000)
    # The head is of all rows, at the value that all rows choose.
    kfold = fs.probe(store, "pixels", probe="ridge", select="kfold", folds=3, n_boot=0, save=False)
    assert run.config.value == kfold.config.value
    assert run.selection.equals(kfold.selection)
    assert run.head is not None
    assert kfold.head is not None
    np.testing.assert_array_equal(run.head.coef, kfold.head.coef)


def test_nested_needs_no_test_split_and_fixed_values_are_cross_validated(tmp_path: Path) -> None:
    X, y = digits()
    targets = {"digit": Target.from_labels([str(d) for d in y[:600]])}
    samples = Samples(np.asarray([str(i) for i in range(600)]), np.full(600, "all"), targets)
    made = FeatureStore.create(tmp_path / "d.zarr", samples)
    fill(made, "pixels", X[:600])
    run = fs.probe(made, "pixels", preset="radio-knn", train="all", select="nested", n_boot=0)
    assert (run.config.selected_on, len(run.fold_scores)) == ("fixed", 0)
    assert len(run.predictions) == 600
    assert run.accuracy > 0.9
    with pytest.raises(InvalidInputError, match="leave --test out"):
        fs.probe(made, "pixels", train="all", test="all", select="nested")


@pytest.mark.parametrize("select", ["val", "kfold", "nested"])
def test_reported_rows_change_nothing_that_is_chosen(tmp_path: Path, select: Any) -> None:
    X, y = digits()
    X = X.astype(np.float32)
    folds = stratified_folds(
        np.asarray([[d in TAGS[t] for t in sorted(TAGS)] for d in y]), 3, seed=0
    )
    reported = folds == 0 if select == "nested" else np.arange(len(y)) >= 1000
    runs = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        pixels, labels = X.copy(), y.copy()
        labels[reported] = rng.permutation(labels[reported])
        pixels[reported] = rng.permutation(pixels[reported], axis=1)
        if select == "nested":  # the folds themselves depend on the labels
            labels = y
        splits = np.where(reported & (select != "nested"), "test", "train")
        tags = [[name for name, members in TAGS.items() if d in members] for d in labels.tolist()]
        ids = np.asarray([str(i) for i in range(len(y))])
        made = FeatureStore.create(
            tmp_path / f"{seed}.zarr", Samples(ids, splits, {"tags": Target.from_label_sets(tags)})
        )
        fill(made, "pixels", pixels)
        runs.append(
            fs.probe(made, "pixels", probe="lda", select=select, folds=3, n_boot=0, save=False)
        )
    a, b = runs
    assert a.thresholds is not None
    assert b.thresholds is not None
    assert not np.array_equal(a.predictions.scores[-300:], b.predictions.scores[-300:])
    if select == "nested":
        own = [run.fold_scores[run.fold_scores["outer"] == 1] for run in runs]
        assert own[0].equals(own[1])
        np.testing.assert_array_equal(a.thresholds.per_class[0], b.thresholds.per_class[0])
        others = [run.fold_scores[run.fold_scores["outer"] == 2] for run in runs]
        assert not others[0].equals(others[1])
    else:
        assert a.selection.equals(b.selection)
        assert a.fold_scores.equals(b.fold_scores)
        np.testing.assert_array_equal(a.thresholds.per_class, b.thresholds.per_class)
        assert a.head is not None
        assert b.head is not None
        np.testing.assert_array_equal(a.head.coef, b.head.coef)


@pytest.mark.parametrize("arguments", [{"select": "kfold"}, {"select": "val"}, {"repeats": 3}])
def test_one_standard_error_takes_a_simpler_probe(store: FeatureStore, arguments: Any) -> None:
    best = fs.probe(store, "pca", probe="ridge", n_boot=0, save=False, **arguments)
    simple = fs.probe(store, "pca", probe="ridge", rule="one-se", n_boot=0, save=False, **arguments)
    pd.testing.assert_frame_equal(
        best.selection.drop(columns="chosen"), simple.selection.drop(columns="chosen")
    )
    curve = simple.selection
    top = curve.loc[curve["score"].idxmax()]
    near = curve[curve["score"] >= top["score"] - top["se"]]
    assert simple.config.value == near["value"].max() > best.config.value
    assert simple.config.how_chosen.endswith(", one-standard-error rule")


def test_one_standard_error_of_a_metric_that_is_no_share(store: FeatureStore) -> None:
    run = fs.probe(store, "pca", probe="ridge", target="tags", rule="one-se", n_boot=0, save=False)
    assert (run.selection["se"] > 0).all()
    assert run.config.metric == "mAP"
    with pytest.raises(InvalidInputError, match="no end of lr"):
        fs.probe(store, "pca", preset="dinov2-linear", rule="one-se", save=False)


def test_draws_are_repeated(store: FeatureStore) -> None:
    run = fs.probe(store, "pca", probe="ridge", repeats=3, n_boot=0, save=False)
    assert run.config.selected_on == "20% of train, drawn 3 times"
    scores = run.fold_scores.pivot(index="value", columns="repeat", values="score")
    assert scores.shape == (len(ALPHAS), 3)
    assert scores.nunique(axis=1).max() > 1
    np.testing.assert_allclose(scores.mean(axis=1), run.selection["score"])
    single = fs.probe(store, "pca", probe="ridge", n_boot=0, save=False)
    np.testing.assert_array_equal(single.selection["score"], scores[0])


def test_folds_are_of_training_and_validation_rows_together(tmp_path: Path) -> None:
    store = make_digits_store(tmp_path / "d.zarr", n_train=700, val=300)
    run = fs.probe(store, "pixels", probe="ridge", select="kfold", n_boot=0, save=False)
    assert run.config.selected_on == "5 folds of train+val"
    assert run.selection["rows"].unique().tolist() == [800]
    whole = fs.probe(
        make_digits_store(tmp_path / "e.zarr"), "pixels", probe="ridge", select="kfold", save=False
    )
    assert run.selection.equals(whole.selection)
    with pytest.raises(InvalidInputError, match="there is one of it, not 2 draws"):
        fs.probe(store, "pca", repeats=2)


def test_halving_gives_most_values_few_rows(store: FeatureStore) -> None:
    run = fs.probe(store, "pca", probe="ridge", search="halving", n_boot=0, save=False)
    tried = run.selection.groupby("rows")["value"].count()
    assert tried.tolist() == [29, 10, 4]
    assert tried.index[-1] == 800
    assert tried.index[0] == pytest.approx(800 / 9, abs=1)
    assert run.selection.loc[run.selection["chosen"], "rows"].tolist() == [800]
    grid = fs.probe(store, "pca", probe="ridge", n_boot=0, save=False)
    assert abs(run.accuracy - grid.accuracy) < 0.01
    with pytest.raises(InvalidInputError, match="k counts training rows"):
        fs.probe(store, "pca", probe="knn", search="halving")


@pytest.mark.parametrize("metric", ["mean_per_class", "macro_f1"])
def test_another_metric_chooses(store: FeatureStore, metric: Any) -> None:
    run = fs.probe(store, "pca", probe="ridge", val="test", metric=metric, n_boot=0, save=False)
    # The reported rows chose, so the curve can be checked at the chosen value.
    at = run.selection.loc[run.selection["chosen"], "score"]
    fixed = fs.probe(store, "pca", probe="ridge", value=run.config.value, n_boot=0, save=False)
    assert at.tolist() == [pytest.approx(fixed.metric(metric), abs=1e-6)]
    assert run.config.metric == metric


def test_kornblith_maximises_and_reports_11_point_map(store: FeatureStore) -> None:
    run = fs.probe(store, "pca", preset="kornblith", target="tags", search="halving", save=False)
    assert run.config.metric == "mAP_11"
    frame = run.per_class(interpolation="11-points", n_boot=50)
    assert run.metric("mAP_11") == pytest.approx(frame["average_precision"].mean())
    assert run.metric("mAP_11") != run.metric("mAP")
    assert (frame["low"] < frame["average_precision"]).all()


@pytest.mark.parametrize("select", ["val", "kfold", "nested"])
def test_tuned_f1_is_scikit_learns_at_the_stored_thresholds(tmp_path: Path, select: Any) -> None:
    store = make_digits_store(tmp_path / "d.zarr")
    run = fs.probe(store, "pca", target="tags", probe="lda", select=select, folds=3, n_boot=20)
    again = fs.open(store.path).run(run.name)
    assert again.config == run.config
    assert again.fold_scores.equals(run.fold_scores)
    thresholds = again.thresholds
    assert thresholds is not None
    assert thresholds.per_class.shape == (3 if select == "nested" else 1, 3)
    truth, scores = again.predictions.truth, again.predictions.scores
    called = scores >= thresholds.per_class[thresholds.source]
    f1 = sk.f1_score(truth, called, average=None)
    frame = again.per_class(n_boot=0).set_index("class")
    np.testing.assert_allclose(frame["f1_tuned"], f1)
    assert again.metric("macro_f1_tuned") == pytest.approx(f1.mean())
    common = scores >= thresholds.common[thresholds.source, None]
    assert again.metric("micro_f1_tuned") == pytest.approx(
        sk.f1_score(truth, common, average="micro")
    )
    words = {
        "val": "20% of train",
        "kfold": "3 folds of train",
        "nested": "3 folds within each of 3 outer folds of train",
    }
    assert again.config.thresholds_on == words[select]


def test_thresholds_are_chosen_for_fixed_values_too_but_never_on_test(store: FeatureStore) -> None:
    fixed = fs.probe(store, "pca", target="tags", probe="ridge", value=1, n_boot=0, save=False)
    assert fixed.config.selected_on == "fixed"
    assert fixed.config.thresholds_on == "20% of train"
    assert fixed.metric("macro_f1_tuned") > fixed.metric("macro_f1") - 0.02
    for arguments in ({"val": "test"}, {"thresholds": False}):
        run = fs.probe(
            store, "pca", target="tags", probe="ridge", n_boot=0, save=False, **arguments
        )  # type: ignore[arg-type]
        assert run.thresholds is None
        assert run.config.thresholds_on is None
        assert "macro_f1_tuned" not in set(run.metrics["metric"])


def bursts(path: Path) -> FeatureStore:
    """Noisy digits, each three times with a little more noise: bursts of one scene."""
    X, y = digits()
    rng = np.random.default_rng(0)
    drawn, scene = rng.permutation(len(X))[:500], np.repeat(np.arange(500), 3)
    blurred = X[drawn] + rng.normal(0, 0.5, (500, 64))
    features = (blurred[scene] + rng.normal(0, 0.02, (1500, 64))).astype(np.float32)
    splits = np.where(np.arange(1500) < 1050, "train", "test")
    splits[1050:1056] = "train"
    splits[1053] = "test"  # a burst on both sides
    targets = {
        "digit": Target.from_labels([str(d) for d in y[drawn[scene]]]),
        "scene": Target.from_labels([f"scene {s}" for s in scene]),
    }
    store = FeatureStore.create(
        path, Samples(np.asarray([str(i) for i in range(1500)]), splits, targets)
    )
    fill(store, "pixels", features, dtype="float32")
    return store


def test_groups_undo_the_optimism_of_bursts(tmp_path: Path) -> None:
    store = bursts(tmp_path / "b.zarr")
    arguments: Any = {"preset": "ridge", "select": "kfold", "n_boot": 0, "save": False}
    loose = fs.probe(store, "pixels", **arguments)
    with pytest.warns(SharedGroupsWarning, match="1 groups have rows in train and in test"):
        grouped = fs.probe(store, "pixels", groups="scene", **arguments)
    assert grouped.config.shared_groups == 1
    assert grouped.config.selected_on == "5 folds of train, grouped by scene"
    optimism = [run.selection["score"].max() - run.accuracy for run in (loose, grouped)]
    assert optimism[0] > 0.05 > abs(optimism[1])
    nested = fs.probe(
        store, "pixels", preset="ridge", select="nested", groups="scene", n_boot=0, save=False
    )
    assert nested.config.shared_groups == 0
    assert abs(nested.accuracy - grouped.accuracy) < 0.05


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"select": "loo"}, "select is one of 'val', 'kfold', 'nested', got 'loo'"),
        ({"rule": "two-se"}, "rule is one of"),
        ({"search": "random"}, "search is one of"),
        ({"select": "kfold", "folds": 1}, "1 folds drawn 1 times cannot choose"),
        ({"repeats": 0}, "5 folds drawn 0 times cannot choose"),
        ({"select": "kfold", "folds": 1001}, "1000 rows cannot be divided into 1001 folds"),
        ({"metric": "mAP"}, "single-label target maximises one of top1, mean_per_class, macro_f1"),
        ({"metric": "top1", "target": "tags"}, "multi-label target maximises one of mAP"),
        ({"select": "kfold", "val": "test"}, "would be trained on and reported on"),
        ({"select": "nested", "test": "test"}, "not on 'test'"),
        ({"groups": "digit"}, "grouped by what is predicted"),
        ({"groups": "tags"}, "may have several of its labels"),
        ({"groups": "patient"}, "no target 'patient'"),
    ],
)
def test_bad_arguments(store: FeatureStore, arguments: dict[str, Any], match: str) -> None:
    with pytest.raises((InvalidInputError, KeyError), match=match):
        fs.probe(store, "pixels", **arguments)


def test_a_preset_may_choose_by_folds(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    folded = dataclasses.replace(PRESETS["ridge"], select="kfold", folds=3, rule="one-se")
    monkeypatch.setitem(PRESETS, "ridge", folded)
    run = fs.probe(store, "pca", probe="ridge", n_boot=0, save=False)
    assert run.config.how_chosen == "chosen on 3 folds of train, one-standard-error rule"
    over = fs.probe(store, "pca", probe="ridge", select="val", rule="best", n_boot=0, save=False)
    assert over.config.how_chosen == "chosen on 20% of train"
