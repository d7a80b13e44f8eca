"""Metrics against scikit-learn, and their vectorised bootstrap against an explicit loop."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from featstore.bootstrap import resamples
from featstore.errors import InvalidInputError
from featstore.metrics import (
    average_precision,
    evaluate_metrics,
    macro_f1,
    mean_average_precision,
    mean_per_class_accuracy,
    micro_average_precision,
    top_k_accuracy,
)
from featstore.predictions import Predictions
from featstore.weighted import true_ranks


def single_label(n, c, *, seed=0, ties=False):
    """A run that is right about half of the time; the last class has no rows."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, max(c - 1, 1), n)
    logits = rng.normal(size=(n, c))
    logits[np.arange(n), truth] += 1.5
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    scores = scores.round(1) if ties else scores
    names = tuple(f"class {code}" for code in range(c))
    ids = np.array([f"{row}.jpg" for row in range(n)])
    return Predictions(ids, names, truth, scores.astype(np.float32), np.ones(c, bool))


def multi_label(n, c, *, seed=0, ties=False):
    """A run with a few labels per row; the last class has no positives."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, c)) < 0.2
    truth[:, -1] = False
    scores = np.clip(rng.normal(0.3, 0.25, (n, c)) + 0.3 * truth, 0, 1)
    scores = scores.round(1) if ties else scores
    names = tuple(f"class {code}" for code in range(c))
    ids = np.array([f"{row}.jpg" for row in range(n)])
    return Predictions(ids, names, truth, scores.astype(np.float32), np.ones(c, bool))


few = settings(max_examples=40, deadline=None)
small = {"n": st.integers(1, 60), "c": st.integers(2, 8), "seed": st.integers(0, 10**6)}


@few
@given(**small, ties=st.booleans())
def test_top_k_is_scikit_learns_with_ties_to_the_lower_code(n, c, seed, ties):
    run = single_label(n, c, seed=seed, ties=ties)
    for k in range(1, c):
        # scikit-learn gives ties to the higher code: mirror the columns.
        expected = (
            sk.top_k_accuracy_score(
                c - 1 - run.truth, run.scores[:, ::-1], k=k, labels=np.arange(c)
            )
            if c > 2
            else np.mean(run.predicted == run.truth)
        )
        assert top_k_accuracy(run.scores, run.truth, k) == pytest.approx(expected)
    assert top_k_accuracy(run.scores, run.truth, c) == 1


def test_top_1_agrees_with_the_predicted_class_where_all_scores_are_equal():
    run = single_label(50, 4)
    flat = dataclasses.replace(run, scores=np.full_like(run.scores, 0.25))
    assert top_k_accuracy(flat.scores, flat.truth, 1) == np.mean(flat.predicted == flat.truth)
    np.testing.assert_array_equal(true_ranks(flat.scores, flat.truth), flat.truth)


@few
@given(**small)
def test_mean_per_class_accuracy_and_macro_f1_are_scikit_learns(n, c, seed):
    run = single_label(n, c, seed=seed)
    present = np.unique(run.truth)
    expected = sk.recall_score(run.truth, run.predicted, labels=present, average="macro")
    assert mean_per_class_accuracy(run.predicted, run.truth, c) == pytest.approx(expected)
    expected = sk.f1_score(run.truth, run.predicted, average="macro", zero_division=0)
    assert macro_f1(run.predicted, run.truth, c) == pytest.approx(expected)


def test_one_class_predicted_for_everything():
    truth = np.array([0, 1, 2, 2])
    always = np.full(4, 2)
    assert mean_per_class_accuracy(always, truth, 4) == pytest.approx(1 / 3)
    assert macro_f1(always, truth, 4) == pytest.approx(
        sk.f1_score(truth, always, average="macro", zero_division=0)
    )


@few
@given(**small, ties=st.booleans())
def test_average_precision_is_scikit_learns(n, c, seed, ties):
    run = multi_label(n, c, seed=seed, ties=ties)
    present = np.flatnonzero(run.truth.any(axis=0))
    found = average_precision(run.scores, run.truth)
    assert np.isnan(np.delete(found, present)).all()
    if present.size:
        truth, scores = run.truth[:, present], run.scores[:, present]
        expected = sk.average_precision_score(truth, scores, average=None)
        np.testing.assert_allclose(found[present], np.atleast_1d(expected))
        expected = sk.average_precision_score(truth, scores, average="macro")
        assert mean_average_precision(run.scores, run.truth) == pytest.approx(expected)
        expected = sk.average_precision_score(run.truth, run.scores, average="micro")
        assert micro_average_precision(run.scores, run.truth) == pytest.approx(expected)


@few
@given(**small, ties=st.booleans())
def test_11_point_average_precision_is_the_best_precision_at_11_recalls(n, c, seed, ties):
    run = multi_label(n, c, seed=seed, ties=ties)
    found = average_precision(run.scores, run.truth, interpolation="11-points")
    for code in np.flatnonzero(run.truth.any(axis=0)):
        precision, recall, _ = sk.precision_recall_curve(run.truth[:, code], run.scores[:, code])
        # Its last point is (recall 0, precision 1) by convention, and no threshold.
        precision, recall = precision[:-1], recall[:-1]
        best = [precision[recall > j / 10 - 1e-12].max() for j in range(11)]
        assert found[code] == pytest.approx(np.mean(best))


def test_without_any_positive_map_is_undefined():
    scores, truth = np.ones((3, 2)), np.zeros((3, 2), bool)
    assert np.isnan(mean_average_precision(scores, truth))
    assert np.isnan(micro_average_precision(scores, truth))


@pytest.mark.parametrize(("ties", "c"), [(False, 7), (True, 7), (False, 2)])
def test_single_label_bootstrap_is_the_explicit_loop(ties, c):
    run = single_label(80, c, ties=ties)
    frame = evaluate_metrics(run, n_boot=60, seed=5, level=0.9).set_index("metric")

    def by_scikit_learn(rows):
        truth, predicted, scores = run.truth[rows], run.predicted[rows], run.scores[rows]
        values = {
            "top1": sk.accuracy_score(truth, predicted),
            "mean_per_class": sk.recall_score(
                truth, predicted, labels=np.unique(truth), average="macro"
            ),
            "macro_f1": sk.f1_score(truth, predicted, average="macro", zero_division=0),
        }
        if c > 5:
            values["top5"] = sk.top_k_accuracy_score(
                c - 1 - truth, scores[:, ::-1], k=5, labels=np.arange(c)
            )
        return values

    check_against_loop(frame, by_scikit_learn, n=80, n_boot=60, seed=5, level=0.9)


@pytest.mark.parametrize("ties", [False, True])
def test_multi_label_bootstrap_is_the_explicit_loop(ties):
    run = multi_label(60, 5, ties=ties)
    frame = evaluate_metrics(run, n_boot=50, seed=2).set_index("metric")

    def by_scikit_learn(rows):
        truth, scores = run.truth[rows], run.scores[rows]
        present, called = truth.any(axis=0), scores >= 0.5
        return {
            "mAP": sk.average_precision_score(truth[:, present], scores[:, present]),
            "micro_mAP": sk.average_precision_score(truth, scores, average="micro"),
            "macro_f1": sk.f1_score(truth, called, average="macro", zero_division=np.nan),
            "micro_f1": sk.f1_score(truth, called, average="micro"),
        }

    check_against_loop(frame, by_scikit_learn, n=60, n_boot=50, seed=2, level=0.95)


def check_against_loop(frame, metrics_of, *, n, n_boot, seed, level):
    expected = metrics_of(np.arange(n))
    assert set(frame.index) == set(expected)
    weights = np.concatenate(list(resamples(n, n_boot=n_boot, seed=seed)), axis=1)
    looped = [metrics_of(np.repeat(np.arange(n), column.astype(int))) for column in weights.T]
    for metric, row in frame.iterrows():
        assert row["value"] == pytest.approx(expected[metric])
        bounds = np.quantile(
            [values[metric] for values in looped], [(1 - level) / 2, (1 + level) / 2]
        )
        np.testing.assert_allclose([row["low"], row["high"]], bounds, err_msg=metric)
        assert row["n"] == n


def test_the_seed_decides():
    run = single_label(200, 6)
    first, again, other = (evaluate_metrics(run, n_boot=100, seed=seed) for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)


def test_top_5_needs_more_than_five_classes():
    assert "top5" not in set(evaluate_metrics(single_label(20, 5), n_boot=0)["metric"])


def test_a_class_not_seen_is_never_in_the_top_5():
    run = single_label(40, 8)
    scores = np.zeros_like(run.scores)
    scores[:, 7] = 1
    truth = np.zeros_like(run.truth)
    unseen = dataclasses.replace(run, truth=truth, scores=scores, seen=np.arange(8) > 0)
    frame = evaluate_metrics(unseen, n_boot=0).set_index("metric")
    assert frame.loc["top5", "value"] == 0
    assert (
        evaluate_metrics(dataclasses.replace(unseen, seen=run.seen), n_boot=0)
        .set_index("metric")
        .loc["top5", "value"]
        == 1
    )


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(broken):
    run = single_label(10, 3)
    run.scores[4, 1] = broken
    with pytest.raises(InvalidInputError, match=r"1 of 10 rows .* row 4"):
        evaluate_metrics(run)


def test_impossible_codes_are_refused():
    run = single_label(10, 3)
    with pytest.raises(InvalidInputError, match=r"\[0, 3\)"):
        evaluate_metrics(dataclasses.replace(run, truth=run.truth + 3))
    with pytest.raises(InvalidInputError, match=r"\[0, 3\)"):
        macro_f1(run.predicted - 1, run.truth, 3)
    with pytest.raises(InvalidInputError, match="k=4"):
        top_k_accuracy(run.scores, run.truth, 4)


def test_no_rows_are_refused():
    run = single_label(10, 3)
    none = dataclasses.replace(run, ids=run.ids[:0], truth=run.truth[:0], scores=run.scores[:0])
    with pytest.raises(InvalidInputError, match="n >= 1"):
        evaluate_metrics(none)


def test_multi_label_truth_must_be_boolean_and_of_the_scores_shape():
    with pytest.raises(InvalidInputError, match="one bool for each score"):
        average_precision(np.ones((3, 2)), np.ones((3, 2)))
