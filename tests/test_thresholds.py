"""Thresholds that maximise F1, against scikit-learn; multi-label metrics against torchmetrics."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from torchmetrics.functional import classification as tm

from featstore.metrics import average_precision, evaluate_metrics, metric_with_error
from featstore.predictions import Predictions
from featstore.thresholds import Thresholds, f1_threshold

few = settings(max_examples=50, deadline=None)


def decisions(n: int, c: int, seed: int, *, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Scores that know something, of labels of unlike frequency."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, c)) < np.linspace(0.05, 0.5, c)
    scores = np.clip(rng.normal(0.2, 0.15, (n, c)) + 0.2 * truth, 0, 1).astype(np.float32)
    return (scores.round(1) if ties else scores), truth


def made(scores: np.ndarray, truth: np.ndarray) -> Predictions:
    names = tuple(f"class {code}" for code in range(truth.shape[1]))
    ids = np.asarray([str(row) for row in range(len(truth))])
    return Predictions(ids, names, truth, scores, np.ones(truth.shape[1], bool))


@few
@given(n=st.integers(1, 80), seed=st.integers(0, 10**6), ties=st.booleans())
def test_no_threshold_has_a_better_f1(n: int, seed: int, ties: bool) -> None:
    scores, truth = decisions(n, 1, seed, ties=ties)
    threshold = f1_threshold(scores[:, 0], truth[:, 0])
    if not truth.any():
        assert np.isnan(threshold)
        return
    precision, recall, thresholds = sk.precision_recall_curve(truth[:, 0], scores[:, 0])
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    reached = sk.f1_score(truth[:, 0], scores[:, 0] >= threshold)
    assert reached == pytest.approx(f1.max())
    best = thresholds[np.isclose(f1[:-1], f1.max())]
    assert threshold == best.max()


def test_per_class_thresholds_are_best_for_macro_and_the_common_one_for_micro_f1() -> None:
    scores, truth = decisions(500, 6, 0)
    thresholds = Thresholds.choose(scores, truth, n=500)
    macro = sk.f1_score(truth, thresholds.called(scores), average="macro")
    micro = sk.f1_score(truth, thresholds.called(scores, common=True), average="micro")
    for common in np.linspace(0.05, 0.95, 19):
        assert micro >= sk.f1_score(truth, scores >= common, average="micro")
        assert macro >= sk.f1_score(truth, scores >= common, average="macro")
    assert macro > sk.f1_score(truth, thresholds.called(scores, common=True), average="macro")


def test_a_class_without_positives_takes_the_common_threshold() -> None:
    scores, truth = decisions(200, 4, 1)
    truth[:, 2] = False
    thresholds = Thresholds.choose(scores, truth, n=9)
    assert thresholds.per_class[0, 2] == thresholds.common[0]
    none = Thresholds.choose(scores, np.zeros_like(truth), n=9)
    assert (none.per_class == 0.5).all()
    assert none.source.shape == (9,)


def test_folds_have_thresholds_of_their_own() -> None:
    scores, truth = decisions(300, 3, 2)
    parts = [Thresholds.choose(scores[i::2], truth[i::2], n=150) for i in range(2)]
    both = Thresholds.joined(parts, np.arange(300) % 2)
    for i in range(2):
        np.testing.assert_array_equal(both.called(scores)[i::2], parts[i].called(scores[i::2]))
        np.testing.assert_array_equal(
            both.called(scores, common=True)[i::2], parts[i].called(scores[i::2], common=True)
        )


@pytest.mark.parametrize("ties", [False, True])
def test_tuned_f1_and_its_intervals_are_the_explicit_loop(ties: bool) -> None:
    from featstore.bootstrap import resamples

    scores, truth = decisions(80, 4, 3, ties=ties)
    thresholds = Thresholds.choose(*decisions(200, 4, 4, ties=ties), n=80)
    run = made(scores, truth)
    frame = evaluate_metrics(run, thresholds=thresholds, n_boot=40, seed=1).set_index("metric")
    weights = np.concatenate(list(resamples(80, n_boot=40, seed=1)), axis=1).astype(int)
    for metric, common, average in (
        ("macro_f1_tuned", False, "macro"),
        ("micro_f1_tuned", True, "micro"),
    ):
        called = thresholds.called(scores, common=common)
        assert frame.loc[metric, "value"] == pytest.approx(
            sk.f1_score(truth, called, average=average, zero_division=np.nan)
        )
        looped = [
            sk.f1_score(truth[rows], called[rows], average=average, zero_division=np.nan)
            for rows in (np.repeat(np.arange(80), column) for column in weights.T)
        ]
        np.testing.assert_allclose(
            frame.loc[metric, ["low", "high"]].astype(float), np.quantile(looped, [0.025, 0.975])
        )


@few
@given(n=st.integers(2, 80), c=st.integers(2, 6), seed=st.integers(0, 10**6))
def test_multi_label_metrics_are_torchmetrics(n: int, c: int, seed: int) -> None:
    scores, truth = decisions(n, c, seed)
    truth[seed % n] = True  # every class has a positive
    frame = evaluate_metrics(made(scores, truth), n_boot=0).set_index("metric")["value"]
    preds, target = torch.from_numpy(scores), torch.from_numpy(truth.astype(np.int64))

    def ap(average: str) -> np.ndarray:
        return tm.multilabel_average_precision(preds, target, c, average=average).numpy()

    np.testing.assert_allclose(average_precision(scores, truth), ap("none"), atol=1e-5)
    assert frame["mAP"] == pytest.approx(float(ap("macro")), abs=1e-5)
    assert frame["micro_mAP"] == pytest.approx(float(ap("micro")), abs=1e-5)
    for average in ("macro", "micro"):
        # torchmetrics calls a probability above 0.5, we from 0.5 on.
        above = torch.from_numpy(np.where(scores >= 0.5, 1.0, 0.0).astype(np.float32))
        expected = float(tm.multilabel_f1_score(above, target, c, average=average))
        assert frame[f"{average}_f1"] == pytest.approx(expected, abs=1e-6)


def test_11_points_are_added_where_asked_for() -> None:
    run = made(*decisions(150, 4, 5))
    frame = evaluate_metrics(run, eleven_points=True, n_boot=20).set_index("metric")
    expected = average_precision(run.scores, run.truth.astype(bool), interpolation="11-points")
    assert frame.loc["mAP_11", "value"] == pytest.approx(expected.mean())
    assert frame.loc["mAP_11", "low"] < expected.mean() < frame.loc["mAP_11", "high"]
    assert list(frame.index)[:3] == ["mAP", "mAP_11", "micro_mAP"]


def test_standard_errors_of_a_metric() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(4, size=400)
    scores = (rng.random((400, 4)) + 0.7 * np.eye(4)[truth]).astype(np.float32)
    run = Predictions(
        np.asarray([str(i) for i in range(400)]), tuple("abcd"), truth, scores, np.ones(4, bool)
    )
    value, error = metric_with_error(run, "top1")
    assert error == pytest.approx(np.sqrt(value * (1 - value) / 400))
    # The classes are alike, so the mean per class varies as the accuracy does.
    balanced, drawn = metric_with_error(run, "mean_per_class", n_boot=400)
    assert balanced == pytest.approx(sk.balanced_accuracy_score(truth, run.predicted))
    assert drawn == pytest.approx(error, rel=0.15)
    assert np.isnan(metric_with_error(run, "macro_f1")[1])
    perfect = dataclasses.replace(run, scores=np.eye(4, dtype=np.float32)[truth])
    assert metric_with_error(perfect, "top1") == (1.0, 0.0)
