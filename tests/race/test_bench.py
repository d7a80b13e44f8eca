"""Races on a store's own features, against optima that others found, and speeds of reading."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from digits_store import digits, make_digits_store
from sklearn.linear_model import LogisticRegression
from small_store import fill

from featstore.cli.main import group
from featstore.errors import InvalidInputError
from featstore.race import bench
from featstore.race.arrival import OURS, race
from featstore.race.peers import run, scikit_learn_peers
from featstore.race.problem import Problem
from featstore.race.reading import read_speeds
from featstore.race.turns import PAIRS
from featstore.samples import Samples, Target
from featstore.store import FeatureStore
from featstore.view import View


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make_digits_store(tmp_path_factory.mktemp("race") / "d.zarr")


def problem(n: int, *, binary: bool = False) -> Problem:
    X, y = digits()
    return Problem("digits", X[:n], (y[:n] % 2 if binary else y[:n]).astype(np.int64), 0.1)


@pytest.mark.parametrize("binary", [False, True])
def test_the_objective_is_scikit_learns(binary: bool) -> None:
    given = problem(400, binary=binary)
    model = LogisticRegression(C=0.1, tol=1e-12, max_iter=10_000).fit(given.X, given.y)
    theta = np.concatenate([model.coef_, model.intercept_[:, None]], axis=1).astype(np.float64)
    proba = model.predict_proba(given.X.astype(np.float64))
    loss = -np.log(proba[np.arange(400), given.y]).mean()
    expected = loss + (theta[:, :-1] ** 2).sum() / (2 * 0.1 * 400)
    np.testing.assert_allclose(given.objective(theta), expected, rtol=1e-10)
    rng = np.random.default_rng(0)
    moved = [given.objective(theta + 1e-3 * rng.standard_normal(theta.shape)) for _ in range(5)]
    assert min(moved) > given.objective(theta)


@pytest.mark.parametrize("binary", [False, True])
def test_everybody_arrives_at_the_same_optimum(binary: bool) -> None:
    given = problem(300, binary=binary)
    arrivals, optimum = race(
        given, scikit_learn_peers(), repeats=1, budget=5, accuracies=(1e-2, 1e-3)
    )
    assert {arrival.solver for arrival in arrivals} == {OURS, *scikit_learn_peers()}
    assert all(arrival.arrived for arrival in arrivals)
    assert all(arrival.reached <= arrival.accuracy for arrival in arrivals)
    assert all(arrival.cpu_ratio == 1 for arrival in arrivals if arrival.solver == OURS)
    model = LogisticRegression(C=0.1, tol=1e-12, max_iter=10_000).fit(given.X, given.y)
    theta = np.concatenate([model.coef_, model.intercept_[:, None]], axis=1)
    np.testing.assert_allclose(optimum["objective"], given.objective(theta), rtol=1e-4)


def test_a_peer_is_stopped_by_its_budget() -> None:
    way = run(scikit_learn_peers()["scikit-learn lbfgs"], problem(1000), budget=0.01)
    assert way.cpu[-1] >= 0.01
    assert all(seconds < 0.01 for seconds in way.cpu[:-1])  # none, where the first takes longer
    least = problem(1000).objective(way.thetas[-1])
    assert way.first_below(least / 2, problem(1000).objective) is None


def test_reading_covers_every_way(store: FeatureStore) -> None:
    readings = read_speeds(store.view("pixels"), budget=0.05)
    assert [reading.operation for reading in readings] == ["load", "scan", "gather", "shuffled"]
    for reading in readings:
        assert reading.repeats >= 1
        # float16, 64 columns: both rates are of the same time.
        assert reading.mb_s * 1e6 == pytest.approx(reading.rows_s * 128)


def test_no_more_is_read_than_fits(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[View] = []
    monkeypatch.setattr("featstore.race.contest._MOST_READ", 128 * 100)  # bytes of 100 rows
    monkeypatch.setattr("featstore.race.contest.read_speeds", lambda view, **_: seen.append(view))
    bench(store, "pixels", probes=["ridge"], rows=100, repeats=1)
    np.testing.assert_array_equal(seen[0].load(), store.view("pixels").load()[:100])


def test_the_command(store: FeatureStore) -> None:
    arguments = ["bench", str(store.path), "-f", "pca", "--rows", "300", "--repeats", "1"]
    arguments += ["--budget", "3"] + [word for probe in PAIRS for word in ("--probe", probe)]
    document = json.loads(CliRunner().invoke(group, [*arguments, "--json"]).stdout)
    assert (document["n_train"], document["n_test"], document["dim"]) == (300, 300, 16)
    assert {turn["probe"] for turn in document["turns"]} == set(PAIRS)
    assert all(turn["agreement"] > 0.97 for turn in document["turns"])
    assert document["arrivals"] == []
    shown = CliRunner().invoke(group, [*arguments[:-8], "--probe", "logistic"])
    assert shown.exit_code == 0, shown.output
    for part in ("shuffled", "featstore", "scikit-learn newton-cg", "1.0×", "to 0.0001"):
        assert part in shown.stdout


def test_what_cannot_be_raced(store: FeatureStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="any number of labels"):
        bench(store, "pca", target="tags")
    with pytest.raises(InvalidInputError, match="no race for the probe 'mlp'"):
        bench(store, "pca", probes=["mlp"])
    with pytest.raises(InvalidInputError, match="budget must be above 0"):
        bench(store, "pca", budget=0)
    samples = Samples(
        store.samples.ids,
        store.samples.splits,
        {"one": Target.from_labels(["digit"] * len(store.samples.ids))},
    )
    alike = FeatureStore.create(tmp_path / "one.zarr", samples)
    fill(alike, "pixels", digits()[0])
    with pytest.raises(InvalidInputError, match="a single class"):
        bench(alike, "pixels")


def test_a_shared_budget_stops_who_has_arrived() -> None:
    given = problem(300)
    arrivals, _ = race(
        given, scikit_learn_peers(), repeats=2, budget=30, accuracies=(1e-2,), shared=True
    )
    assert all(arrival.arrived for arrival in arrivals)
    assert sum(arrival.cpu_s for arrival in arrivals) < 5  # nobody went on to use up the budget
