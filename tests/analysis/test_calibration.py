"""Calibration against torchmetrics, scikit-learn and SciPy; temperatures that were planted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import binomtest
from sklearn.metrics import log_loss
from torchmetrics.classification import BinaryCalibrationError, MulticlassCalibrationError

from featstore.analysis import (
    calibration,
    classwise_ece,
    fit_temperature,
    reliability,
    with_temperature,
)
from featstore.analysis.reliability import bins_of
from featstore.analysis.temperature import RANGE
from featstore.errors import InvalidInputError
from featstore.predictions import Predictions


def values(predictions: Predictions, **options):
    frame = calibration(predictions, n_boot=0, **options)
    return frame.set_index("metric")["value"]


@pytest.mark.parametrize("n_bins", [1, 10, 15])
def test_ece_is_torchmetrics(sharp, blurred, n_bins):
    for run in (sharp, blurred):
        oracle = MulticlassCalibrationError(10, n_bins=n_bins, norm="l1")
        expected = oracle(torch.tensor(run.scores), torch.tensor(run.truth)).item()
        assert values(run, n_bins=n_bins)["ece"] == pytest.approx(expected, abs=1e-6)


def test_classwise_ece_is_the_mean_of_binary_ones(blurred, tagged):
    for run in (blurred, tagged):
        truth = run.truth if run.multilabel else np.eye(10)[run.truth]
        expected = np.mean(
            [
                BinaryCalibrationError(15)(
                    torch.tensor(run.scores[:, code]), torch.tensor(truth[:, code]).int()
                ).item()
                for code in range(run.n_classes)
            ]
        )
        assert classwise_ece(run) == pytest.approx(expected, abs=1e-6)


def test_equal_mass_is_the_mean_gap_of_sorted_pieces(blurred):
    confidence = blurred.scores.max(axis=1).astype(float)
    hit = blurred.predicted == blurred.truth
    assert len(np.unique(confidence)) == len(confidence)
    order = np.argsort(confidence)[:1190]
    run = dataclasses.replace(
        blurred,
        ids=blurred.ids[order],
        truth=blurred.truth[order],
        scores=blurred.scores[order],
    )
    pieces = np.split(order, 10)
    expected = sum(abs(hit[p].sum() - confidence[p].sum()) for p in pieces) / len(order)
    assert values(run, n_bins=10)["ece_mass"] == pytest.approx(expected)
    assert (reliability(run, n_bins=10, binning="mass")["n"] == 119).all()


def test_brier_and_nll(blurred, tagged):
    found = values(blurred)
    one_hot = np.eye(10)[blurred.truth]
    assert found["brier"] == pytest.approx(((blurred.scores - one_hot) ** 2).sum(axis=1).mean())
    assert found["nll"] == pytest.approx(log_loss(blurred.truth, blurred.scores), abs=1e-5)
    found = values(tagged)
    assert found["brier"] == pytest.approx(((tagged.scores - tagged.truth) ** 2).mean())
    p = np.where(tagged.truth, tagged.scores, 1 - tagged.scores.astype(float))
    assert found["nll"] == pytest.approx(-np.log(np.maximum(p, np.finfo(np.float32).eps)).mean())


def test_the_curve_has_wilson_intervals_and_all_rows(sharp, tagged):
    curve = reliability(sharp, n_bins=8)
    assert curve["n"].sum() == len(sharp)
    for row in curve.itertuples():
        exact = binomtest(round(row.accuracy * row.n), row.n).proportion_ci(method="wilson")
        assert (row.low, row.high) == pytest.approx((exact.low, exact.high))
    ece = (curve["n"] * (curve["accuracy"] - curve["confidence"]).abs()).sum() / len(sharp)
    assert ece == pytest.approx(values(sharp, n_bins=8)["ece"])
    assert reliability(tagged)["n"].sum() == tagged.scores.size


def test_intervals_cover_the_value_and_are_narrower_on_more_rows(blurred):
    few = dataclasses.replace(
        blurred, ids=blurred.ids[:100], truth=blurred.truth[:100], scores=blurred.scores[:100]
    )
    wide, narrow = (calibration(run, n_boot=200).set_index("metric") for run in (few, blurred))
    for name in ("brier", "nll"):
        assert narrow["low"][name] < narrow["value"][name] < narrow["high"][name]
        widths = [(frame["high"] - frame["low"])[name] for frame in (wide, narrow)]
        assert widths[0] > 2 * widths[1]
    assert np.isnan(narrow["low"]["classwise_ece"])


def test_probabilities_that_hold_have_hardly_an_error():
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(4), 40_000).astype(np.float32)
    truth = (rng.random((len(scores), 1)) > scores.cumsum(axis=1)).sum(axis=1).clip(0, 3)
    ids = np.arange(len(scores)).astype(str)
    run = Predictions(ids, tuple("abcd"), truth, scores, np.ones(4, bool))
    assert values(run)["ece"] < 0.01
    assert fit_temperature(run) == pytest.approx(1, abs=0.02)


def test_edges_and_ties_of_bins():
    tenths = (np.arange(11) / 10).astype(np.float32)
    assert bins_of(tenths, n_bins=10, binning="width").tolist() == [0, *range(10)]
    ties = np.array([0.5] * 7 + [0.9] * 3)
    assert bins_of(ties, n_bins=5, binning="mass").tolist() == [1] * 7 + [4] * 3


def test_temperature_is_the_minimum_of_the_likelihood(sharp, blurred):
    for run in (sharp, blurred):
        logs = np.log(run.scores.astype(float))

        def nll(log_t, run=run, logs=logs):
            scaled = log_softmax(logs / np.exp(log_t), axis=1)
            return -scaled[np.arange(len(run)), run.truth].mean()

        expected = np.exp(minimize_scalar(nll, bounds=(-4, 4), method="bounded").x)
        assert fit_temperature(run) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("factor", [0.4, 3.0])
def test_a_planted_temperature_is_found(blurred, tagged, factor):
    for run in (blurred, tagged):
        if run.multilabel:
            run = dataclasses.replace(run, scores=run.scores.clip(0.01, 0.99))
        own = fit_temperature(run)
        sharpened = with_temperature(run, 1 / factor)
        assert fit_temperature(sharpened) == pytest.approx(own * factor, rel=1e-2)
        mended = with_temperature(sharpened, own * factor)
        np.testing.assert_allclose(mended.scores, with_temperature(run, own).scores, atol=2e-3)
        assert values(mended)["nll"] <= values(sharpened)["nll"] + 1e-9
    best = with_temperature(blurred, factor).scores.argmax(axis=1)
    np.testing.assert_array_equal(best, blurred.predicted)


def test_temperature_of_logits_is_that_of_probabilities():
    logits = np.random.default_rng(0).normal(size=(30, 5), scale=3)
    scores = softmax(logits, axis=1).astype(np.float32)
    ids = np.arange(30).astype(str)
    run = Predictions(ids, tuple("abcde"), np.zeros(30, int), scores, np.ones(5, bool))
    expected = softmax(logits / 2.5, axis=1)
    np.testing.assert_allclose(with_temperature(run, 2.5).scores, expected, atol=1e-6)


def test_what_no_temperature_mends(sharp):
    right = np.eye(10, dtype=np.float32)[sharp.truth] * 0.9 + 0.01
    assert fit_temperature(dataclasses.replace(sharp, scores=right)) == RANGE[0]
    wrong = np.roll(right, 1, axis=1)
    assert fit_temperature(dataclasses.replace(sharp, scores=wrong)) == RANGE[1]
    # A class that was not seen has probability 0, and keeps it.
    scores = sharp.scores.copy()
    scores[:, 3] = 0
    scores /= scores.sum(axis=1, keepdims=True)
    unseen = dataclasses.replace(sharp, scores=scores)
    temperature = fit_temperature(unseen)
    assert 0.1 < temperature < 10
    assert (with_temperature(unseen, temperature).scores[:, 3] == 0).all()
    hopeless = dataclasses.replace(sharp, truth=np.full(len(sharp), 3), scores=scores)
    with pytest.raises(InvalidInputError, match="no row has a true class"):
        fit_temperature(hopeless)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s * 20 - 5, r"the scores lie in \[-5"),
        (lambda s: s / 2, "sum to 0.5, not 1"),
    ],
)
def test_scores_that_are_no_probabilities_are_refused(sharp, change, message):
    run = dataclasses.replace(sharp, scores=change(sharp.scores))
    for measure in (calibration, reliability, fit_temperature):
        with pytest.raises(InvalidInputError, match=message):
            measure(run)


def test_bad_arguments_are_refused(sharp):
    with pytest.raises(InvalidInputError, match="n_bins = 0"):
        calibration(sharp, n_bins=0)
    with pytest.raises(InvalidInputError, match="got 'height'"):
        reliability(sharp, binning="height")
    with pytest.raises(InvalidInputError, match="positive and finite, got 0"):
        with_temperature(sharp, 0)
