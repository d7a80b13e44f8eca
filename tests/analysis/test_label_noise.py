"""Label noise against cleanlab, and label flips that were planted in real data."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from featstore.analysis import ConfidentJoint, label_noise
from featstore.errors import InvalidInputError
from featstore.predictions import Predictions
from featstore.probes import KNNProbe

N_FLIPPED = 90


@pytest.fixture(scope="module")
def flipped():
    """Digits of which one in twenty has a wrong label; out-of-sample probabilities and votes."""
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    wrong = rng.choice(len(y), N_FLIPPED, replace=False)
    labels = y.copy()
    labels[wrong] = (y[wrong] + rng.integers(1, 10, N_FLIPPED)) % 10
    model = LogisticRegression(C=1.0, max_iter=5000)
    scores = cross_val_predict(model, X / 16, labels, cv=5, method="predict_proba")
    names = tuple(map(str, range(10)))
    ids = np.array([f"{row:04d}" for row in range(len(y))])
    run = Predictions(ids, names, labels, scores.astype(np.float32), np.ones(10, bool))
    votes = KNNProbe(k=10, weights="uniform").fit(X.astype(np.float32), labels).leave_one_out()
    return run, votes, {ids[row] for row in wrong}


def test_the_joint_and_the_flags_are_cleanlabs(flipped):
    count = pytest.importorskip("cleanlab.count")
    filtering = pytest.importorskip("cleanlab.filter")
    run, _, _ = flipped
    scores = run.scores.astype(float)
    joint = ConfidentJoint.of(run)
    expected = count.compute_confident_joint(run.truth, scores, calibrate=False)
    np.testing.assert_array_equal(joint.counts, expected)
    # cleanlab rounds the scaled counts to whole rows before it divides by their number.
    np.testing.assert_allclose(
        joint.joint,
        count.estimate_joint(run.truth, scores, confident_joint=expected),
        atol=1 / len(run),
    )
    issues = filtering.find_label_issues(
        run.truth, scores, filter_by="confident_learning", n_jobs=1
    )
    rows = label_noise(run).rows
    assert set(rows["id"][rows["confident"]]) == set(run.ids[issues])


def test_planted_flips_are_found(flipped):
    run, votes, wrong = flipped
    noise = label_noise(run, votes)
    found = set(noise.candidates["id"])
    recall, precision = len(found & wrong) / len(wrong), len(found & wrong) / len(found)
    assert recall > 0.7
    assert precision > 0.9
    # Neighbours that dispute the flag take out hard digits, hardly any flips.
    alone = set(label_noise(run).candidates["id"])
    assert precision > len(alone & wrong) / len(alone)
    assert noise.noise_rate == pytest.approx(N_FLIPPED / len(run), abs=0.02)
    assert set(noise.rows["id"][:40]) <= wrong


def test_rows_are_ranked_and_complete(flipped):
    run, votes, _ = flipped
    rows = label_noise(run, votes).rows
    assert sorted(rows["id"]) == sorted(run.ids)
    flagged = rows["confident"].to_numpy()
    assert not flagged[flagged.sum() :].any()
    for part in (rows[flagged], rows[~flagged]):
        assert part["margin"].is_monotonic_increasing
    place = {name: row for row, name in enumerate(run.ids)}
    first = rows.iloc[0]
    assert first["agreement"] == votes[place[first["id"]], run.truth[place[first["id"]]]]
    pairs = label_noise(run).joint.pairs()
    off_diagonal = ConfidentJoint.of(run).counts
    assert pairs["n"].sum() == off_diagonal.sum() - np.trace(off_diagonal)


def test_clean_labels_have_few_candidates(sharp):
    noise = label_noise(sharp)
    errors = (sharp.predicted != sharp.truth).sum()
    assert len(noise.candidates) <= errors
    assert noise.noise_rate < 0.06


def test_a_class_without_rows_takes_none(sharp):
    kept = sharp.truth != 4
    run = dataclasses.replace(
        sharp, ids=sharp.ids[kept], truth=sharp.truth[kept], scores=sharp.scores[kept]
    )
    joint = ConfidentJoint.of(run)
    assert np.isnan(joint.thresholds[4])
    assert not (joint.confident == 4).any()
    assert joint.joint.sum() == pytest.approx(1)


def test_what_cannot_be_judged_is_refused(sharp, tagged):
    with pytest.raises(InvalidInputError, match="multi-label"):
        label_noise(tagged)
    with pytest.raises(InvalidInputError, match="one finite share"):
        label_noise(sharp, np.ones((3, 10)))
