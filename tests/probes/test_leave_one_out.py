"""Leave-one-out of KNNProbe, against fitting it again without the row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score
from sklearn.neighbors import KNeighborsClassifier

from featstore.errors import InvalidInputError
from featstore.probes import KNNProbe
from featstore.probes.leave_one_out import best_cell
from featstore.probes.neighbours import without_self

ENGINES = ["torch", "faiss"]


@pytest.fixture(scope="module")
def rows(few_digits):
    """120 digits, a third of which are copies of others."""
    X, y = few_digits
    which = np.r_[np.arange(80), np.arange(40)]
    return X[which] + 0.05, y[which]


def without(X, y, i, **parameters):
    kept = np.arange(len(X)) != i
    return KNNProbe(**parameters).fit(X[kept], y[kept])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 7, 119])
def test_every_row_is_predicted_by_the_others(rows, engine, metric, k):
    X, y = rows
    probe = KNNProbe(k, metric=metric, engine=engine).fit(X, y)
    proba = probe.leave_one_out()
    assert proba.shape == (120, 10)
    for i in range(0, 120, 7):
        alone = without(X, y, i, k=k, metric=metric, engine=engine)
        np.testing.assert_allclose(
            proba[i, alone.classes_], alone.predict_proba(X[[i]])[0], atol=1e-4
        )
    neighbours = probe.kneighbors()[0]
    assert (neighbours != np.arange(120)[:, None]).all()


def test_more_copies_than_neighbours():
    X, y = np.ones((9, 2)), np.arange(9) % 3
    neighbours, similarities = KNNProbe(3).fit(X, y).kneighbors()
    np.testing.assert_array_equal(neighbours[:4], [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
    np.testing.assert_array_equal(neighbours[4:], np.tile([0, 1, 2], (5, 1)))
    assert len(np.unique(similarities)) == 1


def test_zero_rows_are_not_their_own_nearest():
    X = np.r_[np.zeros((2, 2)), np.eye(2), -np.eye(2)]
    neighbours = KNNProbe(2).fit(X, np.arange(6)).kneighbors()[0]
    assert (neighbours != np.arange(6)[:, None]).all()


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_votes_by_count_or_distance(digits, weights):
    X, y = digits[0][:200], digits[1][:200]
    probe = KNNProbe(5, metric="euclidean", weights=weights).fit(X, y)
    proba = probe.leave_one_out()
    for i in range(0, 200, 20):
        kept = np.arange(200) != i
        model = KNeighborsClassifier(5, weights=weights).fit(X[kept], y[kept])
        np.testing.assert_allclose(proba[i], model.predict_proba(X[[i]])[0], atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_k_and_temperature_are_chosen_together(rows, engine):
    X, y = rows
    ks, temperatures = [1, 3, 10, 40], [0.02, 0.3]
    probe = KNNProbe("loo", ks=ks, temperatures=temperatures, engine=engine).fit(X, y)
    scores = probe.leave_one_out_scores_
    assert list(scores.columns) == ["k", "temperature", "score"]
    assert len(scores) == 8
    for cell in scores.itertuples():
        fixed = KNNProbe(cell.k, temperature=cell.temperature).fit(X, y)
        predicted = fixed.leave_one_out().argmax(axis=1)
        assert cell.score == pytest.approx(accuracy_score(y, predicted))
    best = scores[scores["score"] == scores["score"].max()].sort_values(["k", "temperature"])
    assert (probe.k_, probe.temperature_) == tuple(best.iloc[0][["k", "temperature"]])
    assert probe.chosen_by_ == "leave-one-out"
    assert probe.certificate_.leave_one_out == scores["score"].max()
    same = KNNProbe(probe.k_, temperature=probe.temperature_, engine=engine).fit(X, y)
    np.testing.assert_array_equal(probe.predict_proba(X), same.predict_proba(X))


def test_labels_are_scored_by_their_f1(rows):
    X, y = rows
    Y = np.stack([y % 2 == 0, y > 6], axis=1)
    probe = KNNProbe("loo", ks=[1, 15]).fit(X, Y)
    for cell in probe.leave_one_out_scores_.itertuples():
        proba = KNNProbe(cell.k).fit(X, Y).leave_one_out()
        expected = f1_score(Y, proba > 0.5, average="micro")
        assert cell.score == pytest.approx(expected)


def test_default_candidates_are_those_that_rows_have():
    X, y = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30) % 3
    assert KNNProbe("loo").fit(X, y).leave_one_out_scores_["k"].tolist() == [1, 2, 5, 10, 20]


def test_equal_scores_go_to_the_smallest_k_then_temperature():
    frame = pd.DataFrame(
        [[20, 0.1, 0.5], [5, 0.2, 0.5], [5, 0.1, 0.5], [1, 0.1, 0.4]],
        columns=["k", "temperature", "score"],
    )
    assert best_cell(frame) == (5, 0.1, 0.5)


def test_a_row_that_is_not_found_costs_the_last_neighbour():
    neighbours, similarities = without_self(
        np.array([[1, 2, 3], [5, 6, 4]]), np.ones((2, 3), np.float32), np.array([9, 6])
    )
    np.testing.assert_array_equal(neighbours, [[1, 2], [5, 4]])
    assert similarities.shape == (2, 2)


def test_rows_have_one_neighbour_less_than_there_are_rows():
    X, y = np.eye(5), np.arange(5)
    with pytest.raises(InvalidInputError, match=r"none its own neighbour: .* between 1 and 4"):
        KNNProbe(5).fit(X, y).leave_one_out()
    with pytest.raises(InvalidInputError, match="between 1 and 4"):
        KNNProbe("loo", ks=[1, 5]).fit(X, y)
    with pytest.raises(InvalidInputError, match="needs a candidate, and two training rows"):
        KNNProbe("loo").fit(X[:1], y[:1])
