"""Comparisons against scikit-learn, scipy and an explicit paired bootstrap."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import binomtest, false_discovery_control
from sklearn import metrics as sk

from featstore.analysis import compare
from featstore.bootstrap import resamples
from featstore.errors import InvalidInputError


def take(run, rows):
    return dataclasses.replace(
        run, ids=run.ids[rows], truth=run.truth[rows], scores=run.scores[rows]
    )


def test_two_probes_of_digits(blurred, sharp):
    n = len(sharp)
    comparison = compare(blurred, sharp, n_boot=4000, seed=6, level=0.9)
    right_a, right_b = blurred.predicted == blurred.truth, sharp.predicted == sharp.truth
    assert comparison.metric == "top1"
    assert comparison.value_a == pytest.approx(right_a.mean())
    assert comparison.value_b == pytest.approx(right_b.mean())
    assert comparison.difference == pytest.approx(right_b.mean() - right_a.mean())
    assert comparison.difference > 0
    order = np.argsort(sharp.ids)
    weights = np.concatenate(list(resamples(n, n_boot=2000, seed=6)), axis=1)
    changes = (right_b.astype(float) - right_a)[order] @ weights / n
    np.testing.assert_allclose(
        [comparison.low, comparison.high],
        np.quantile(changes, [0.05, 0.95]),
        atol=0.15 * changes.std(),
    )
    only_a, only_b = (right_a & ~right_b).sum(), (right_b & ~right_a).sum()
    assert (comparison.only_a_right, comparison.only_b_right) == (only_a, only_b)
    assert comparison.p_exact == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)
    assert comparison.p_mid < comparison.p_exact
    assert (comparison.n_common, comparison.n_only_a, comparison.n_only_b) == (n, 0, 0)


def test_classes_of_two_probes(blurred, sharp):
    comparison = compare(blurred, sharp, n_boot=0)
    frame = comparison.classes
    for name, run in (("a", blurred), ("b", sharp)):
        np.testing.assert_allclose(
            frame[f"accuracy_{name}"], sk.recall_score(run.truth, run.predicted, average=None)
        )
    right_a, right_b = blurred.predicted == blurred.truth, sharp.predicted == sharp.truth
    for code, p in enumerate(frame["p"]):
        rows = sharp.truth == code
        only_a, only_b = (right_a & ~right_b)[rows].sum(), (right_b & ~right_a)[rows].sum()
        expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
        assert p == pytest.approx(expected)
    np.testing.assert_allclose(frame["q"], false_discovery_control(frame["p"]))
    gain = frame["gain"].to_numpy()
    np.testing.assert_allclose(gain, frame["accuracy_b"] - frame["accuracy_a"])
    assert comparison.most_improved(3)["gain"].tolist() == sorted(gain)[::-1][:3]
    assert comparison.most_harmed(2)["gain"].tolist() == sorted(gain)[:2]
    assert comparison.share_improved == np.mean(gain > 0)
    assert comparison.share_unchanged == np.mean(gain == 0)
    assert comparison.share_harmed == np.mean(gain < 0)


def test_rows_are_paired_by_id_not_by_order(blurred, sharp):
    rng = np.random.default_rng(0)
    shuffled = take(sharp, rng.permutation(len(sharp)))
    expected, found = compare(blurred, sharp), compare(blurred, shuffled)
    assert found.classes.equals(expected.classes)
    for field in ("difference", "low", "high", "p_exact", "p_mid"):
        assert getattr(found, field) == getattr(expected, field)


def test_other_rows_are_left_out_and_counted(blurred, sharp):
    a, b = take(blurred, np.arange(0, 500)), take(sharp, np.arange(200, 900))
    comparison = compare(a, b, n_boot=0)
    assert (comparison.n_common, comparison.n_only_a, comparison.n_only_b) == (300, 200, 400)
    common = np.arange(200, 500)
    assert comparison.value_b == pytest.approx(
        sk.accuracy_score(sharp.truth[common], sharp.predicted[common])
    )


def test_a_run_equals_itself(sharp):
    comparison = compare(sharp, sharp)
    assert (comparison.difference, comparison.low, comparison.high) == (0, 0, 0)
    assert (comparison.p_exact, comparison.p_mid) == (1, 1)
    assert comparison.share_unchanged == 1


def test_classes_without_common_rows_have_no_gain(blurred, sharp):
    rows = np.flatnonzero(sharp.truth != 3)
    frame = compare(blurred, take(sharp, rows), n_boot=0).classes
    assert frame.loc[3, ["accuracy_a", "gain", "p", "q"]].isna().all()
    np.testing.assert_allclose(
        np.delete(frame["q"], 3), false_discovery_control(np.delete(frame["p"], 3))
    )


def test_two_multi_label_runs(tagged):
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.2, tagged.scores.shape)
    other = dataclasses.replace(
        tagged, scores=np.clip(tagged.scores + noise, 0, 1).astype(np.float32)
    )
    comparison = compare(tagged, other, n_boot=40, seed=3)

    def gains(rows):
        truth = tagged.truth[rows][:, :4]
        return np.subtract(
            *(
                sk.average_precision_score(truth, run.scores[rows][:, :4], average=None)
                for run in (other, tagged)
            )
        )

    order = np.argsort(tagged.ids)
    observed = gains(order)
    weights = np.concatenate(list(resamples(150, n_boot=40, seed=3)), axis=1).astype(int)
    samples = np.array([gains(np.repeat(order, column)) for column in weights.T])
    np.testing.assert_allclose(comparison.classes["gain"][:4], observed)
    assert comparison.metric == "mAP"
    assert comparison.difference == pytest.approx(observed.mean())
    np.testing.assert_allclose(
        [comparison.low, comparison.high], np.quantile(samples.mean(axis=1), [0.025, 0.975])
    )
    np.testing.assert_allclose(
        comparison.classes[["low", "high"]][:4], np.quantile(samples, [0.025, 0.975], axis=0).T
    )
    assert comparison.classes.loc[4, ["gain", "low", "high"]].isna().all()
    assert comparison.p_exact is None


def test_runs_that_cannot_be_paired_are_refused(blurred, sharp, tagged):
    with pytest.raises(InvalidInputError, match="multi-label"):
        compare(sharp, tagged)
    other = dataclasses.replace(sharp, classes=("ZERO", *sharp.classes[1:]))
    with pytest.raises(
        InvalidInputError, match=r"1 only in the first, 1 only in the second, 'ZERO'"
    ):
        compare(sharp, other)
    with pytest.raises(InvalidInputError, match="another order"):
        compare(sharp, dataclasses.replace(sharp, classes=sharp.classes[::-1]))
    with pytest.raises(InvalidInputError, match="no test row in common"):
        compare(take(sharp, slice(0, 9)), take(blurred, slice(9, 20)))
    with pytest.raises(InvalidInputError, match="1 ids of the second run repeat"):
        compare(sharp, take(blurred, np.array([0, 1, 1, 2])))
    truth = sharp.truth.copy()
    truth[7] = (truth[7] + 1) % 10
    with pytest.raises(InvalidInputError, match=f"labels of 1 of {len(sharp)} .* '0607.png'"):
        compare(sharp, dataclasses.replace(sharp, truth=truth))
