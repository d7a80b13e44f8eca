"""The options of `featstore probe` that say how a value is chosen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from digits_store import digits, make_digits_store
from small_store import fill

from featstore.cli.main import group
from featstore.samples import Samples, Target
from featstore.store import FeatureStore


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


def run(*arguments: object) -> str:
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_digits_store(tmp_path_factory.mktemp("cli") / "d.zarr").path


def test_folds_and_the_one_standard_error_rule(store: Path) -> None:
    options = ["--features", "pca", "--probe", "ridge", "--select", "kfold", "--folds", "3"]
    printed = run("probe", store, *options, "--rule", "one-se", "--name", "simple")
    assert "(chosen on 3 folds of train, one-standard-error rule); 1000 rows trained on" in printed
    document = json.loads(run("probe", store, *options, "--name", "best", "--json"))
    assert document["config"]["select"] == "kfold"
    assert len(document["selection"]) == 29
    assert {"value", "score", "se", "rows", "chosen"} == set(document["selection"][0])
    assert len(document["fold_scores"]) == 3 * 29
    assert document["thresholds"] is None


def test_a_value_at_the_edge_names_who_tries_more(store: Path) -> None:
    options = ["--features", "pca", "--preset", "vissl-svm", "--name", "edge"]
    printed = run("probe", store, *options)
    # Of two values, either is at an edge.
    assert (
        "at the edge of the values tried (0.01 … 0.1); --preset svm tries 0.0001 … 100" in printed
    )


def test_a_store_that_cannot_be_written_to(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--features", "pca", "--probe", "ridge", "-C", "1", "--name", "unkept"]
    monkeypatch.setattr("os.access", lambda path, mode: False)
    refused = invoke("probe", store, *options)
    assert refused.exit_code == 2
    assert "--no-save" in refused.stderr
    assert "ridge, alpha = 1" in run("probe", store, *options, "--no-save")
    assert not (store / "runs" / "unkept").exists()


def test_nested_says_that_folds_report(store: Path) -> None:
    options = ["--features", "pca", "--probe", "ridge", "--select", "nested", "--folds", "3"]
    printed = run("probe", store, *options, "--name", "nested")
    assert "3 folds within each of 3 outer folds of train" in printed
    assert "1000 rows, each predicted by a probe of the other 2 folds" in printed
    assert "the outer folds chose alpha = " in printed


def test_thresholds_are_shown_and_reported_by_class(store: Path) -> None:
    options = ["--features", "pca", "--probe", "ridge", "--target", "tags", "--name", "tags"]
    printed = run("probe", store, *options)
    assert "macro_f1_tuned" in printed
    assert "thresholds of the tuned F1, chosen on 20% of train: " in printed
    document = json.loads(run("probe", store, *options, "--json"))
    assert document["thresholds"]["classes"] == ["even", "large", "prime"]
    assert len(document["thresholds"]["per_class"][0]) == 3
    shown = run("per-class", store, "--run", "tags", "--interpolation", "11-points")
    assert "f1_tuned" in shown
    assert "95 % interval" in shown
    without = run("probe", store, *options[:-1], "none", "--no-thresholds")
    assert "tuned" not in without


def test_shared_groups_are_noted_once(tmp_path: Path) -> None:
    X, y = digits()
    n = 600
    targets = {
        "digit": Target.from_labels([str(d) for d in y[:n]]),
        "writer": Target.from_labels([str(i // 13) for i in range(n)]),
    }
    ids = [str(i) for i in range(n)]
    import numpy as np

    splits = np.asarray(["train"] * 400 + ["test"] * 200)
    made = FeatureStore.create(tmp_path / "s.zarr", Samples(np.asarray(ids), splits, targets))
    fill(made, "pixels", X[:n])
    result = invoke("probe", made.path, "--probe", "ridge", "--groups", "writer")
    assert result.exit_code == 0
    assert "20% of train, grouped by writer" in result.output
    assert "1 classes of writer have rows in training and in test" in result.output
    assert "SharedGroupsWarning" not in result.output


def test_report_shows_curves_and_repeats_the_choice(store: Path, tmp_path: Path) -> None:
    options = ["--features", "pca", "--probe", "lda", "--select", "kfold", "--folds", "4"]
    run("probe", store, *options, "--repeats", "2", "--rule", "one-se", "--name", "folded")
    nested = ["--features", "pca", "--probe", "lda", "--select", "nested", "--folds", "3"]
    run("probe", store, *nested, "--name", "outer")
    halved = [
        "--features",
        "pca",
        "--probe",
        "ridge",
        "--search",
        "halving",
        "--metric",
        "macro_f1",
    ]
    run("probe", store, *halved, "--name", "halved")
    names = ["folded", "outer", "halved"]
    run("report", store, "-o", tmp_path / "r.html", *[w for n in names for w in ("--run", n)])
    page = (tmp_path / "r.html").read_text()
    assert "--select kfold --folds 4 --repeats 2 --rule one-se --name folded" in page
    assert "--select nested --folds 3 --name outer" in page
    assert "--search halving --metric macro_f1 --name halved" in page
    assert "chosen on 4 folds of train, drawn 2 times, one-standard-error rule" in page
    assert "3 outer folds of train" in page
