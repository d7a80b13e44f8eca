"""Duplicates, label noise, calibration and shift of a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from digits_store import digits, make_digits_store
from small_store import fill, make_samples

import featstore as fs
from featstore.errors import InvalidInputError
from featstore.run import ProbeRun
from featstore.samples import Samples, Target
from featstore.store import FeatureStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make_digits_store(tmp_path_factory.mktemp("honesty") / "d.zarr")


@pytest.fixture(scope="module")
def run(store: FeatureStore) -> ProbeRun:
    return fs.probe(store, "pixels", probe="ridge", value=1.0, name="ridge", n_boot=50)


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Digits whose test split begins with 30 training rows, five of them with other labels."""
    X, y = digits()
    noise = np.random.default_rng(0).normal(scale=0.005, size=(30, 64))
    values = np.concatenate([X[:1000], X[:30] + noise, X[1000:]]).astype(np.float32)
    copied = np.where(np.arange(30) < 5, (y[:30] + 1) % 10, y[:30])
    labels = np.concatenate([y[:1000], copied, y[1000:]])
    ids = [*(f"{i:04d}" for i in range(1000)), *(f"copy-{i:02d}" for i in range(30))]
    ids += [f"{i:04d}" for i in range(1000, len(X))]
    splits = ["train"] * 1000 + ["test"] * (len(values) - 1000)
    targets = {"digit": Target.from_labels([f"digit {d}" for d in labels])}
    samples = Samples(np.asarray(ids), np.asarray(splits), targets)
    store = FeatureStore.create(tmp_path_factory.mktemp("honesty") / "l.zarr", samples)
    fill(store, "pixels", values)
    return store


def test_planted_copies_are_found_with_their_labels(leaky: FeatureStore) -> None:
    found = fs.duplicates(leaky, "pixels", threshold=0.999)
    pairs = found.pairs.set_index("id")
    planted = {f"copy-{i:02d}" for i in range(30)}
    assert set(found.ids) == planted
    assert all(pairs.loc[f"copy-{i:02d}", "duplicate_of"] == f"{i:04d}" for i in range(30))
    assert set(pairs.index[~pairs["agree"].astype(bool)]) == {f"copy-{i:02d}" for i in range(5)}
    assert found.share == 30 / 827
    assert (found.n_reference, found.n_searched) == (1000, 827)


def test_the_effect_on_a_run(leaky: FeatureStore) -> None:
    run = fs.probe(leaky, "pixels", probe="knn", value=1, n_boot=0, save=False)
    effect = fs.duplicates(leaky, "pixels", threshold=0.999).effect(run, n_boot=50)
    top1 = effect.set_index("metric").loc["top1"]
    kept = np.char.find(run.predictions.ids, "copy") < 0
    right = run.predictions.predicted == run.predictions.truth
    assert top1["all"] == pytest.approx(right.mean())
    assert top1["without"] == pytest.approx(right[kept].mean())
    assert top1["n_left_out"] == 30
    within = fs.duplicates(leaky, "pixels", searched=None)
    with pytest.raises(InvalidInputError, match="duplicates are of train in train"):
        within.effect(run)


def test_within_one_split(leaky: FeatureStore) -> None:
    found = fs.duplicates(leaky, ["pixels"], reference="test", searched="test", threshold=0.99)
    assert (found.pairs["id"] != found.pairs["duplicate_of"]).all()
    assert not found.pairs.duplicated(["id", "duplicate_of"]).any()
    tests = set(leaky.view("pixels", split="test").ids)
    assert set(found.pairs["id"]) | set(found.pairs["duplicate_of"]) <= tests


def test_labels_of_pairs_may_be_missing_or_many(tmp_path: Path) -> None:
    samples = make_samples(40)
    codes = samples.targets["label"].codes.copy()
    codes[::2] = -1
    label = Target("single", samples.targets["label"].classes, codes)
    samples = Samples(samples.ids, samples.splits, {**samples.targets, "label": label})
    store = FeatureStore.create(tmp_path / "s.zarr", samples)
    X = np.random.default_rng(0).normal(size=(20, 4))
    fill(store, "x", np.concatenate([X, X]).astype(np.float32))
    pairs = fs.duplicates(store, "x", threshold=0.999).pairs
    assert set(pairs["agree"].map(str)) <= {"None", "True", "False"}
    assert pairs["label"].isna().any()
    pairs = fs.duplicates(store, "x", threshold=0.999, target="tags").pairs
    assert "b, ä" in set(pairs["label"])


def test_label_noise_of_training_and_test_rows(store: FeatureStore, run: ProbeRun) -> None:
    train = fs.label_noise(store, "ridge")
    assert len(train.rows) == 1000
    test = fs.label_noise(store, run, rows="test")
    assert len(test.rows) == 797
    stored = run.predictions
    p = dict(zip(stored.ids, stored.scores[np.arange(797), stored.truth], strict=True))
    assert all(row.p_label == p[row.id] for row in test.rows.itertuples())
    X, y = digits()
    from featstore.probes import KNNProbe

    votes = KNNProbe(k=10, weights="uniform").fit(X[:1000], y[:1000]).predict_proba(X[1000:])
    agreement = dict(zip(stored.ids, votes[np.arange(797), y[1000:]], strict=True))
    found = test.rows.set_index("id")["agreement"]
    assert all(found[name] == pytest.approx(value) for name, value in agreement.items())
    assert "knn" not in fs.label_noise(store, run, rows="test", k=0).rows


def test_label_noise_finds_copies_with_other_labels(leaky: FeatureStore) -> None:
    run = fs.probe(leaky, "pixels", value=1.0, n_boot=0, save=False)
    found = set(fs.label_noise(leaky, run, rows="test").candidates["id"])
    assert len(found & {f"copy-{i:02d}" for i in range(5)}) >= 4


def test_outer_folds_have_predicted_their_rows_already(store: FeatureStore) -> None:
    run = fs.probe(store, "pixels", probe="ridge", value=1.0, select="nested", n_boot=0, save=False)
    rows = fs.label_noise(store, run).rows
    assert set(rows["id"]) == set(run.predictions.ids)
    with pytest.raises(InvalidInputError, match="none are left to fit a temperature on"):
        fs.calibration(store, run)
    assert np.isnan(fs.calibration(store, run, temperature=False, n_boot=10).temperature)


def test_label_noise_refuses_what_it_cannot_judge(store: FeatureStore, run: ProbeRun) -> None:
    tags = fs.probe(store, "pixels", target="tags", value=0.1, n_boot=0, save=False)
    with pytest.raises(InvalidInputError, match="multi-label"):
        fs.label_noise(store, tags)
    with pytest.raises(InvalidInputError, match="'train' or 'test', got 'val'"):
        fs.label_noise(store, run, rows="val")  # type: ignore[arg-type]


def test_a_temperature_mends_what_ridge_is_unsure_of(store: FeatureStore, run: ProbeRun) -> None:
    result = fs.calibration(store, "ridge", n_boot=100)
    assert (result.fitted_on, result.n_fitted) == ("train, 5 folds", 1000)
    value = result.metrics.pivot(index="metric", columns="scores", values="value")
    assert value.loc["nll", "scaled"] < value.loc["nll", "stored"]
    assert value.loc["ece", "scaled"] < value.loc["ece", "stored"]
    change = result.change.set_index("metric")
    assert change.loc["nll", "value"] == pytest.approx(
        value["scaled"]["nll"] - value["stored"]["nll"]
    )
    assert change.loc["nll", "high"] < 0
    np.testing.assert_array_equal(result.predictions.predicted, run.predictions.predicted)
    assert run.calibration(n_boot=0)["value"].tolist() == pytest.approx(
        result.metrics.loc[result.metrics["scores"] == "stored", "value"].tolist()
    )
    stored = result.curve[result.curve["scores"] == "stored"].drop(columns="scores")
    assert stored.reset_index(drop=True).equals(run.reliability())


def test_the_temperature_never_sees_reported_rows(
    store: FeatureStore, run: ProbeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featstore import run_calibration

    seen = []
    fit = run_calibration.fit_temperature
    monkeypatch.setattr(
        run_calibration, "fit_temperature", lambda rows: (seen.extend(rows.ids), fit(rows))[1]
    )
    fs.calibration(store, run, n_boot=0)
    assert not set(seen) & set(run.predictions.ids)


def test_calibration_of_several_labels(store: FeatureStore) -> None:
    run = fs.probe(store, "pixels", target="tags", value=0.1, n_boot=0, save=False)
    result = fs.calibration(store, run, n_boot=10)
    assert 0.3 < result.temperature < 3
    assert len(result.metrics) == 10


def test_shift_of_splits_and_stores(store: FeatureStore, leaky: FeatureStore) -> None:
    options = {"n_rows": 300, "n_permutations": 50}
    result = fs.shift(store, "pixels", **options)
    assert (result.a, result.b, result.n_a, result.n_b) == ("train", "test", 1000, 797)
    assert result.labels is not None
    assert result.labels.dof == 9
    other = fs.shift(store, "pixels", a="train", b="train", other=leaky, target="digit", **options)
    value = other.measures.set_index("measure")["value"]
    assert value["frechet"] == pytest.approx(0, abs=1e-6)  # the same rows in both
    assert other.labels is not None
    assert other.labels.chi2 == pytest.approx(0)
    assert leaky.location in other.b


def test_shift_refuses_what_is_the_same_or_another(store: FeatureStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="share rows"):
        fs.shift(store, "pixels", a="train", b="train")
    with pytest.raises(InvalidInputError, match="share rows"):
        fs.shift(store, "pixels", a=None)
    other = FeatureStore.create(tmp_path / "o.zarr", make_samples(60))
    fill(other, "pixels", np.ones((60, 64), np.float32), weights="1")
    with pytest.raises(InvalidInputError, match="not the same feature in both"):
        fs.shift(store, "pixels", other=other)
