"""Runs of the SVM, and of probes by other engines: chosen, stored and shown like any other."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from click.testing import CliRunner
from digits_store import digits, make_digits_store
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import average_precision_score
from sklearn.svm import LinearSVC

import featstore as fs
from featstore.cli.main import group
from featstore.presets import preset
from featstore.store import FeatureStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make_digits_store(tmp_path_factory.mktemp("digits") / "d.zarr")


def test_a_run_is_linear_svc_on_normalised_rows(store: FeatureStore) -> None:
    run = fs.probe(store, "pixels", preset="vissl-svm", value=0.1, n_boot=0, save=False)
    X, y = digits()
    rows = X / (np.linalg.norm(X, axis=1, keepdims=True) + 1e-5)
    model = LinearSVC(C=0.1, class_weight=dict.fromkeys(range(10), 2), dual=False, tol=1e-8)
    model.fit(rows[:1000], y[:1000])
    np.testing.assert_array_equal(run.predictions.scores.argmax(1), model.predict(rows[1000:]))
    assert run.certificate["converged"]
    assert run.head is None  # it is over normalised rows


def test_vissl_chooses_c_by_three_folds(store: FeatureStore) -> None:
    run = fs.probe(store, "pixels", preset="vissl-voc07", target="tags", n_boot=0, save=False)
    assert run.config.selected_on == "3 folds of train"
    assert not run.config.selected_on_test
    assert run.selection["value"].tolist() == sorted(preset("vissl-voc07").values)
    assert run.config.value == run.selection.set_index("value")["score"].idxmax()
    expected = average_precision_score(run.predictions.truth, run.predictions.scores)
    assert run.metric("mAP") == pytest.approx(expected, abs=1e-6)
    assert run.metric("mAP") > 0.8


@pytest.mark.parametrize("scaling", ["none", "standardise"])
def test_a_stored_head_gives_the_stored_order(store: FeatureStore, scaling: str) -> None:
    run = fs.probe(store, ["pca", "pixels"], probe="svm", value=0.01, scaling=scaling, n_boot=0)  # type: ignore[arg-type]
    head = store.run(run.name).head
    assert head is not None
    X = head.scaling.apply(store.view(["pca", "pixels"], split="test")).astype(np.float64)
    scores = X @ head.coef.T + head.intercept
    np.testing.assert_array_equal(scores.argmax(1), run.predictions.scores.argmax(1))


@pytest.mark.parametrize(
    ("probe", "value"), [("logistic", 0.01), ("ridge", 1.0), ("vissl-svm", 0.1)]
)
def test_engines_agree(store: FeatureStore, probe: str, value: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # liblinear stops at 1e-3
        ours, theirs = (
            fs.probe(
                store, "pixels", preset=probe, value=value, engine=engine, n_boot=0, save=False
            )
            for engine in ("torch", "sklearn")
        )
    assert ours.config == theirs.config
    np.testing.assert_allclose(theirs.predictions.scores, ours.predictions.scores, atol=5e-3)
    assert set(ours.certificate) == set(theirs.certificate)


def test_commands(store: FeatureStore) -> None:
    def run(*arguments: str) -> str:
        arguments = ("probe", str(store.path), "--features", "pixels", *arguments)
        result = CliRunner().invoke(group, arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    printed = run("--probe", "svm")
    for part in ("top1", "svm, C = ", "chosen on 20% of train", "converged: gradient norm"):
        assert part in printed
    document = json.loads(
        run("--preset", "logistic", "-C", "0.01", "--engine", "sklearn", "--json")
    )
    assert document["certificate"]["solver"] == "sklearn float64"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--probe", "centroid", "--engine", "sklearn"], "'centroid' has one engine, torch"),
        (["--probe", "svm", "-C", "1", "--engine", "sklearn"], "LinearSVC penalises its intercept"),
        (["--probe", "svm", "-C", "1", "--engine", "jax"], "engine must be one of"),
    ],
)
def test_engines_that_are_not_there(
    store: FeatureStore, arguments: list[str], message: str
) -> None:
    result = CliRunner().invoke(
        group, ["probe", str(store.path), "--features", "pixels", *arguments]
    )
    assert result.exit_code == 2
    assert message in result.output
