"""Probing: protocol, alignment and numbers, against scikit-learn on the same arrays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digits_store import digits, make_digits_store
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss
from sklearn.preprocessing import StandardScaler, normalize
from small_store import fill, make_spec

import featstore as fs
from featstore.errors import (
    FeatureNotFoundError,
    InvalidInputError,
    MemoryCeilingError,
    NotSealedError,
    StorageError,
)
from featstore.parts import draw_validation
from featstore.presets import PRESETS
from featstore.samples import Samples, Target
from featstore.store import FeatureStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make_digits_store(tmp_path_factory.mktemp("digits") / "d.zarr")


def objective(
    coef: np.ndarray, intercept: np.ndarray, X: np.ndarray, y: np.ndarray, C: float
) -> float:
    logits = X.astype(np.float64) @ coef.T + intercept
    logits -= logits.max(axis=1, keepdims=True)
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return C * len(X) * log_loss(y, proba, labels=range(10)) + 0.5 * float((coef**2).sum())


@pytest.mark.parametrize("C", [0.01, 1.0])
def test_logistic_agrees_with_scikit_learn(store: FeatureStore, C: float) -> None:
    run = fs.probe(store, "pixels", value=C, n_boot=100, save=False)
    X, y = digits()
    oracle = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(
        X[:1000].astype(np.float64), y[:1000]
    )
    assert abs(run.accuracy - oracle.score(X[1000:], y[1000:])) <= 0.003
    assert run.head is not None
    ours = objective(run.head.coef, run.head.intercept, X[:1000], y[:1000], C)
    theirs = objective(oracle.coef_, oracle.intercept_, X[:1000], y[:1000], C)
    assert ours <= theirs * (1 + 1e-6)
    assert run.certificate["converged"]
    np.testing.assert_allclose(
        run.predictions.scores, oracle.predict_proba(X[1000:].astype(np.float64)), atol=2e-3
    )


def test_a_ceiling_on_memory_is_of_no_effect_on_the_run(store: FeatureStore) -> None:
    free = fs.probe(store, ["pixels", "pca"], value=0.1, n_boot=0, save=False)
    bounded = fs.probe(
        store, ["pixels", "pca"], value=0.1, max_memory="1.5MB", n_boot=0, save=False
    )
    assert "in passes" in bounded.certificate["solver"]
    assert "in passes" not in free.certificate["solver"]
    np.testing.assert_allclose(bounded.predictions.scores, free.predictions.scores, atol=2e-3)
    with pytest.raises(MemoryCeilingError, match=r"MB, max_memory is 0\.1 MB"):
        fs.probe(store, "pixels", value=0.1, max_memory="100kB", save=False)


def test_predictions_are_aligned_with_ids(store: FeatureStore) -> None:
    run = fs.probe(store, "pixels", value=0.1, n_boot=0, save=False)
    _, y = digits()
    assert run.predictions.ids.tolist() == [f"{i:04d}.png" for i in range(1000, 1797)]
    np.testing.assert_array_equal(run.predictions.truth, y[1000:])


def test_c_is_chosen_on_training_rows_and_refitted(store: FeatureStore) -> None:
    run = fs.probe(store, "pixels", n_boot=0, save=False)
    assert run.config.selected_on == "20% of train"
    assert not run.config.selected_on_test
    assert run.config.n_train == 1000
    best = run.selection[run.selection["score"] == run.selection["score"].max()]
    assert run.config.value == best["value"].min()
    assert run.selection["chosen"].sum() == 1


def test_a_validation_split_chooses_and_is_trained_on(tmp_path: Path) -> None:
    store = make_digits_store(tmp_path / "d.zarr", n_train=700, val=300)
    run = fs.probe(store, "pixels", n_boot=0, save=False)
    assert (run.config.selected_on, run.config.train_split) == ("val", "train+val")
    assert (run.config.n_train, run.config.n_test) == (1000, 797)
    whole = fs.probe(
        make_digits_store(tmp_path / "e.zarr"), "pixels", value=run.config.value, save=False
    )
    np.testing.assert_allclose(run.predictions.scores, whole.predictions.scores, atol=1e-6)


def test_selection_on_the_test_split_is_labelled(store: FeatureStore) -> None:
    run = fs.probe(store, "pixels", val="test", n_boot=0, save=False)
    assert run.config.selected_on_test
    assert run.config.n_train == 1000


def test_a_store_without_a_test_split_reports_on_val(tmp_path: Path) -> None:
    X, y = digits()
    samples = Samples(
        np.asarray([str(i) for i in range(1797)]),
        np.asarray(["train"] * 1000 + ["val"] * 797),
        {"digit": Target.from_labels([str(d) for d in y])},
    )
    store = FeatureStore.create(tmp_path / "d.zarr", samples)
    fill(store, "pixels", X)
    run = fs.probe(store, "pixels", n_boot=0, save=False)
    assert (run.config.test_split, run.config.selected_on) == ("val", "20% of train")


@pytest.mark.parametrize("scaling", ["none", "l2", "standardise"])
def test_fusion_concatenates_scaled_blocks(store: FeatureStore, scaling: str) -> None:
    run = fs.probe(store, ["pca", "pixels"], value=0.1, scaling=scaling, n_boot=0, save=False)  # type: ignore[arg-type]
    assert run.config.dim == 16 + 64
    pca = np.asarray(store.view("pca").array(), np.float64)
    blocks = [pca, digits()[0].astype(np.float64)]
    if scaling == "l2":
        blocks = [normalize(block) for block in blocks]
    if scaling == "standardise":
        blocks = [StandardScaler().fit(block[:1000]).transform(block) for block in blocks]
    X, y = np.concatenate(blocks, axis=1), digits()[1]
    oracle = LogisticRegression(C=0.1, tol=1e-10, max_iter=10_000).fit(X[:1000], y[:1000])
    np.testing.assert_allclose(run.predictions.scores, oracle.predict_proba(X[1000:]), atol=2e-3)


def test_a_class_without_training_rows_is_never_predicted(tmp_path: Path) -> None:
    X, y = digits()
    splits = np.where(np.arange(1797) < 1000, "train", "test")
    splits[y == 3] = "test"
    samples = Samples(
        np.asarray([str(i) for i in range(1797)]),
        splits,
        {"digit": Target.from_labels([str(d) for d in y])},
    )
    store = FeatureStore.create(tmp_path / "d.zarr", samples)
    fill(store, "pixels", X)
    for probe in ("logistic", "knn", "ridge", "svm", "lda", "centroid", "gaussian"):
        run = fs.probe(store, "pixels", probe=probe, n_boot=0, save=False)
        assert run.predictions.seen.tolist() == [d != 3 for d in range(10)]
        assert (run.predictions.scores[:, 3] == 0).all()
        assert run.per_class().set_index("class").loc["3", "accuracy"] == 0


def test_unlabelled_rows_are_left_out(tmp_path: Path) -> None:
    X, y = digits()
    labels = [None if i % 10 == 0 else str(d) for i, d in enumerate(y)]
    samples = Samples(
        np.asarray([str(i) for i in range(1797)]),
        np.where(np.arange(1797) < 1000, "train", "test"),
        {"digit": Target.from_labels(labels)},
    )
    store = FeatureStore.create(tmp_path / "d.zarr", samples)
    fill(store, "pixels", X)
    run = fs.probe(store, "pixels", value=0.1, n_boot=0, save=False)
    assert (run.config.n_train, run.config.n_test) == (900, 717)


def test_multilabel(store: FeatureStore) -> None:
    for probe in ("logistic", "knn", "ridge", "svm", "lda", "centroid", "gaussian"):
        run = fs.probe(store, "pixels", target="tags", probe=probe, n_boot=50, save=False)
        truth, scores = run.predictions.truth, run.predictions.scores
        assert truth.shape == (797, 3)
        expected = average_precision_score(truth, scores, average="macro")
        assert run.metric("mAP") == pytest.approx(expected, abs=1e-6)
        assert run.metric("mAP") > (0.7 if probe in ("centroid", "gaussian") else 0.8)


# Those of the SGD probes take longer; tests/probes/test_sgd_presets.py runs them shortened.  The
# attentive one needs tokens, see tests/probes/test_attentive.py.
@pytest.mark.parametrize(
    "name",
    sorted(name for name in PRESETS if not PRESETS[name].probe.startswith(("sgd", "attentive"))),
)
def test_every_preset_runs(store: FeatureStore, name: str) -> None:
    run = fs.probe(store, "pca", preset=name, n_boot=0, save=False)
    assert run.accuracy > 0.8
    tried = run.selection["value"].tolist()
    values = PRESETS[name].values
    assert (tried or [run.config.value])[: len(values)] == sorted(values) or name == "clip-paper"
    if name == "clip-paper":
        assert set(values) <= set(tried)
        assert len(tried) > len(values)


def test_knn_engines_agree(store: FeatureStore) -> None:
    runs = [
        fs.probe(store, "pixels", probe="knn", engine=engine, n_boot=0, save=False)
        for engine in ("torch", "faiss")
    ]
    assert runs[0].config == runs[1].config
    np.testing.assert_allclose(runs[0].predictions.scores, runs[1].predictions.scores, atol=1e-5)


def test_k_beyond_the_training_rows_is_not_tried(tmp_path: Path) -> None:
    store = make_digits_store(tmp_path / "d.zarr", n_train=60)
    run = fs.probe(store, "pixels", preset="dinov2-knn", n_boot=0, save=False)
    assert run.selection["value"].tolist() == [10, 20]


def test_runs_come_back_as_they_were_saved(store: FeatureStore) -> None:
    for target in ("digit", "tags"):
        run = fs.probe(store, ["pixels", "pca"], target=target, n_boot=50)
        again = fs.open(store.path).run(run.name)
        assert again.config == run.config
        assert again.metrics.equals(run.metrics)
        assert again.selection.equals(run.selection)
        assert again.predictions.classes == run.predictions.classes
        for name in ("ids", "truth", "scores", "seen"):
            np.testing.assert_array_equal(
                getattr(again.predictions, name), getattr(run.predictions, name)
            )
        assert again.head is not None
        assert run.head is not None
        np.testing.assert_array_equal(again.head.coef, run.head.coef)
    assert fs.probe(store, ["pixels", "pca"], target="tags", n_boot=50).name == run.name


def test_a_store_that_cannot_be_written_is_noticed_before_the_work(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)
    before = store.runs
    assert fs.probe(store, "pca", value=0.1, n_boot=0, name="unsaved", save=False)
    monkeypatch.setattr("featstore.evaluate.carry_out", None)
    with pytest.raises(StorageError, match=r"permission denied.*save=False"):
        fs.probe(store, "pca", value=0.1, n_boot=0)
    assert store.runs == before


def test_the_bootstrap_interval_surrounds_the_value(store: FeatureStore) -> None:
    run = fs.probe(store, "pca", value=0.01, save=False)
    for row in run.metrics.itertuples():
        assert row.low < row.value < row.high


def test_nan_rows_are_named(tmp_path: Path) -> None:
    store = make_digits_store(tmp_path / "d.zarr")
    spec = make_spec(store.samples, dim=64, weights="9")
    writer = store.writer("bad", spec)
    X, _ = digits()
    for shard in writer.pending():
        rows = writer.layout.shard_range(shard)
        writer.put(shard, X[rows.start : rows.stop])
    writer.seal()
    # No writer of ours stores NaN; another tool may.
    path = (store.path / "features" / "bad") / "c" / "0" / "0"
    content = bytearray(path.read_bytes())
    content[7 * 128 : 7 * 128 + 2] = np.float16(np.nan).tobytes()
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"1 of [0-9]+ rows .* NaN or infinity: 0007\.png"):
        fs.probe(store, "bad", save=False)


def test_bad_arguments(store: FeatureStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="tested on the rows it is trained on"):
        fs.probe(store, "pixels", test="train")
    with pytest.raises(FeatureNotFoundError, match="Did you mean pixels"):
        fs.probe(store, "pixel")
    with pytest.raises(InvalidInputError, match="no preset 'dinov2-kn'"):
        fs.probe(store, "pixels", preset="dinov2-kn")
    with pytest.raises(InvalidInputError, match="is a knn protocol"):
        fs.probe(store, "pixels", probe="logistic", preset="dinov2-knn")
    with pytest.raises(InvalidInputError, match="there is no probe 'forest'"):
        fs.probe(store, "pixels", probe="forest")
    with pytest.raises(InvalidInputError, match="'lda' has one engine, torch, got 'sklearn'"):
        fs.probe(store, "pixels", probe="lda", engine="sklearn")
    with pytest.raises(InvalidInputError, match="engine must be one of 'torch', 'sklearn', 'cuml'"):
        fs.probe(store, "pixels", engine="faiss")
    with pytest.raises(InvalidInputError, match="positive"):
        fs.probe(store, "pixels", value=-1)
    unfinished = make_digits_store(tmp_path / "d.zarr")
    unfinished.writer("half", make_spec(unfinished.samples, dim=4))
    with pytest.raises(NotSealedError, match="feature 'half' is not finished"):
        fs.probe(unfinished, ["pixels", "half"])


def test_comparing_runs_of_other_targets_is_refused(store: FeatureStore) -> None:
    a = fs.probe(store, "pixels", value=0.1, n_boot=0, save=False)
    b = fs.probe(store, "pixels", target="tags", value=0.1, n_boot=0, save=False)
    with pytest.raises(InvalidInputError, match="only runs of one target"):
        fs.compare(a, b)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"val": "train"}, "cannot choose hyper-parameters"),
        ({"probe": "knn", "value": 2.7}, "k is a whole number, got 2.7"),
        ({"value": float("nan")}, "positive and finite"),
        ({"value": float("inf")}, "positive and finite"),
        ({"probe": "lda", "value": 1.5}, r"shrinkage must be in \[0, 1\], got 1.5"),
        ({"probe": "ridge", "value": -1}, "alpha is positive and finite, got -1"),
        ({"name": "bad name"}, "cannot be used as a name"),
    ],
)
def test_more_bad_arguments(store: FeatureStore, arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidInputError, match=match):
        fs.probe(store, "pixels", **arguments)


def store_of(path: Path, target: Target, splits: np.ndarray) -> FeatureStore:
    X, _ = digits()
    ids = np.asarray([str(i) for i in range(len(splits))])
    store = FeatureStore.create(path, Samples(ids, splits, {"my target": target}))
    fill(store, "pixels", X[: len(splits)])
    return store


def test_validation_rows_without_positives_choose_nothing(tmp_path: Path) -> None:
    labels = [["x"] if i < 100 and i % 3 == 0 else [] for i in range(400)]
    splits = np.asarray(["train"] * 200 + ["val"] * 100 + ["test"] * 100)
    store = store_of(tmp_path / "s.zarr", Target.from_label_sets([*labels]), splits)
    with pytest.raises(InvalidInputError, match="no score is defined"):
        fs.probe(store, "pixels", n_boot=0)


def test_a_multilabel_target_of_one_class(tmp_path: Path) -> None:
    _, y = digits()
    target = Target.from_label_sets([["even"] if d % 2 == 0 else [] for d in y[:600].tolist()])
    splits = np.asarray(["train"] * 400 + ["test"] * 200)
    run = fs.probe(store_of(tmp_path / "s.zarr", target, splits), "pixels", value=1, n_boot=0)
    truth, scores = run.predictions.truth, run.predictions.scores
    assert run.metric("mAP") == pytest.approx(average_precision_score(truth[:, 0], scores[:, 0]))


def test_a_target_with_a_space_gives_a_run_with_a_name(tmp_path: Path) -> None:
    _, y = digits()
    target = Target.from_labels([str(d) for d in y[:600]])
    splits = np.asarray(["train"] * 400 + ["test"] * 200)
    store = store_of(tmp_path / "s.zarr", target, splits)
    run = fs.probe(store, "pixels", value=1, n_boot=0)
    assert run.name.startswith("logistic-pixels-my_target-")
    assert store.runs == [run.name]


@pytest.mark.parametrize(("shots", "fraction"), [(2, 0.2), (4, 0.1), (5, 0.1), (3, 0.2)])
def test_few_shots_spare_validation_rows(shots: int, fraction: float) -> None:
    labels = np.repeat(np.arange(100), shots)
    chosen = draw_validation(labels, fraction, seed=0)
    assert chosen.sum() == round(fraction * len(labels))
    assert np.bincount(labels[~chosen], minlength=100).min() >= 1


@pytest.mark.parametrize("scaling", ["none", "l2", "standardise"])
def test_a_stored_head_gives_the_stored_scores(store: FeatureStore, scaling: Any) -> None:
    run = fs.probe(store, ["pca", "pixels"], value=0.1, scaling=scaling, n_boot=0)
    head = fs.open(store.path).run(run.name).head
    assert head is not None
    X = head.scaling.apply(store.view(["pca", "pixels"], split="test")).astype(np.float64)
    logits = X @ head.coef.T + head.intercept
    logits -= logits.max(axis=1, keepdims=True)
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(run.predictions.scores, proba, atol=1e-5)


def test_a_generated_name_is_found_without_its_digest(store: FeatureStore) -> None:
    run = fs.probe(store, "pca", value=0.5, n_boot=0)
    begin = run.name.rpartition("-")[0]
    assert begin
    assert store.run(begin).name == run.name
    np.testing.assert_array_equal(store.outcomes(begin).truth, run.predictions.truth)
    fs.probe(store, "pca", value=0.25, n_boot=0)
    with pytest.raises(FeatureNotFoundError, match=rf"2 runs '{begin}': .*{run.name}.*name one"):
        store.run(begin)
    with pytest.raises(FeatureNotFoundError, match="has no run"):
        store.run(begin[:-1])
    with pytest.raises(FeatureNotFoundError, match="has no run"):
        store.delete_run(begin)  # what is removed has to be named
