"""Per-class results and confusions against scikit-learn and scipy."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as sk

from featstore.analysis import confusion, per_class
from featstore.errors import InvalidInputError
from featstore.predictions import Predictions


def test_rates_and_intervals_of_digits(blurred):
    frame = per_class(blurred, level=0.9)
    precision, recall, f1, n = sk.precision_recall_fscore_support(blurred.truth, blurred.predicted)
    assert frame["class"].tolist() == list(blurred.classes)
    np.testing.assert_array_equal(frame["n"], n)
    np.testing.assert_allclose(frame["precision"], precision)
    np.testing.assert_allclose(frame["recall"], recall)
    np.testing.assert_allclose(frame["accuracy"], recall)
    np.testing.assert_allclose(frame["f1"], f1)
    for row in frame.itertuples():
        interval = binomtest(round(row.accuracy * row.n), row.n).proportion_ci(0.9, method="wilson")
        np.testing.assert_allclose([row.low, row.high], interval)


def test_confusions_are_the_matrix_off_its_diagonal(blurred):
    matrix = sk.confusion_matrix(blurred.truth, blurred.predicted)
    pairs = confusion(blurred)
    assert pairs["n"].is_monotonic_decreasing
    rebuilt = np.diag(np.diag(matrix))
    code_of = {name: code for code, name in enumerate(blurred.classes)}
    for pair in pairs.itertuples():
        true, taken = code_of[pair[1]], code_of[pair.taken_for]
        assert true != taken
        rebuilt[true, taken] = pair.n
        assert pair.share == pytest.approx(pair.n / matrix[true].sum())
    np.testing.assert_array_equal(rebuilt, matrix)
    np.fill_diagonal(matrix, 0)
    worst = [blurred.classes[code] for code in matrix.argmax(axis=1)]
    assert per_class(blurred)["most_confused_with"].tolist() == worst


def test_classes_without_rows_calls_or_errors():
    scores = np.eye(4, dtype=np.float32)[[0, 0, 0, 3]]
    seen = np.array([True, True, False, True])
    run = Predictions(
        np.array(list("pqrs")), ("a", "b", "c", "d"), np.array([0, 0, 2, 3]), scores, seen
    )
    frame = per_class(run).set_index("class")
    assert frame["n"].tolist() == [2, 0, 1, 1]
    assert frame.loc["b", ["accuracy", "low", "high", "precision", "f1"]].isna().all()
    assert frame.loc["c", "accuracy"] == 0
    assert np.isnan(frame.loc["c", "precision"])
    assert frame.loc["c", "f1"] == 0
    assert not frame.loc["c", "seen"]
    assert frame["most_confused_with"].tolist() == [None, None, "a", None]


def test_average_precision_of_tags(tagged):
    frame = per_class(tagged)
    truth, scores = tagged.truth[:, :4], tagged.scores[:, :4]
    np.testing.assert_allclose(
        frame["average_precision"][:4], sk.average_precision_score(truth, scores, average=None)
    )
    np.testing.assert_allclose(frame["prevalence"], tagged.truth.mean(axis=0))
    expected = sk.precision_recall_fscore_support(truth, scores >= 0.5)
    for column, values in zip(("precision", "recall", "f1", "n"), expected, strict=True):
        np.testing.assert_allclose(frame[column][:4], values)
    assert frame.loc[4, ["average_precision", "recall"]].isna().all()


def test_confusion_needs_one_class_per_row(tagged):
    with pytest.raises(InvalidInputError, match="multi-label"):
        confusion(tagged)


def test_a_perfect_run_confuses_nothing(sharp):
    perfect = dataclasses.replace(sharp, scores=np.eye(10, dtype=np.float32)[sharp.truth])
    assert confusion(perfect).empty
    assert (per_class(perfect)["accuracy"] == 1).all()
