"""Near-duplicates against a plain search; thresholds; what a leak is worth."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from sklearn.datasets import load_digits

from featstore.analysis import leak_effect, near_duplicates, suggested_threshold
from featstore.analysis.near_duplicates import without_itself
from featstore.errors import InvalidInputError, MemoryCeilingError


@pytest.fixture(scope="module")
def pixels():
    X, _ = load_digits(return_X_y=True)
    return X.astype(np.float32)


def cosines(X, Y):
    X, Y = (block / np.linalg.norm(block, axis=1, keepdims=True) for block in (X, Y))
    return Y.astype(float) @ X.astype(float).T


def test_pairs_are_those_of_a_plain_search(pixels):
    X, Y = pixels[:1000], pixels[1000:]
    found = near_duplicates(X, Y, threshold=0.98)
    plain = cosines(X, Y)
    expected = set(zip(*np.nonzero(plain >= 0.98), strict=True))
    assert set(zip(found.queries, found.rows, strict=True)) == expected
    np.testing.assert_allclose(found.similarities, plain[found.queries, found.rows], atol=1e-5)
    assert (np.diff(found.similarities) <= 0).all()
    np.testing.assert_allclose(found.nearest, plain.max(axis=1), atol=1e-5)
    others = cosines(X, X) - 2 * np.eye(1000)
    np.testing.assert_allclose(found.within, others.max(axis=1), atol=1e-5)
    assert found.capped == 0


def test_pairs_within_are_there_once(pixels):
    X = pixels[:600]
    found = near_duplicates(X, threshold=0.98)
    expected = set(zip(*np.nonzero(np.tril(cosines(X, X), -1) >= 0.98), strict=True))
    assert set(zip(found.queries, found.rows, strict=True)) == expected
    assert len(found.nearest) == 600


def test_a_ceiling_on_memory_changes_nothing(pixels):
    """Without room for a copy of X, whose rows are read tile by tile instead."""
    rng = np.random.default_rng(0)
    X = np.tile(pixels, (12, 1)) + rng.normal(size=(12 * len(pixels), 64)).astype(np.float32)
    free = near_duplicates(X, pixels[:300], threshold=0.99)
    tight = near_duplicates(X, pixels[:300], threshold=0.99, max_memory="96MB")
    for name in ("queries", "rows", "similarities", "nearest", "within"):
        np.testing.assert_array_equal(getattr(free, name), getattr(tight, name))
    with pytest.raises(MemoryCeilingError, match=r"max_memory is 1\.0 MB"):
        near_duplicates(X, pixels[:300], max_memory="1MB")


def test_copies_beyond_k_are_said_to_be_there(pixels):
    X = np.concatenate([pixels[:50], np.repeat(pixels[60:61], 30, axis=0)])
    found = near_duplicates(X, pixels[60:61], threshold=0.999, k=10)
    assert (len(found.rows), found.capped) == (10, 1)
    assert near_duplicates(X, pixels[60:61], threshold=0.999, k=80).capped == 0


def test_the_suggestion_parts_copies_from_neighbours(pixels):
    rng = np.random.default_rng(0)
    copies = pixels[:40] + rng.normal(scale=0.1, size=(40, 64)).astype(np.float32)
    Y = np.concatenate([pixels[1000:], copies])
    found = near_duplicates(pixels[:1000], Y)
    again = near_duplicates(pixels[:1000], Y, threshold=found.suggested)
    planted = set(range(797, 837))
    assert planted <= set(again.queries)
    assert len(set(again.queries) - planted) <= 5
    # Copies within the reference, too, move the quartiles little.
    leaky = near_duplicates(np.concatenate([pixels[:1000], copies]), Y)
    assert leaky.suggested == pytest.approx(found.suggested, abs=0.005)


def test_the_suggestion_expects_its_number_of_false_pairs():
    """Distances that are log-normal: the share above the threshold is what was asked for."""
    rng = np.random.default_rng(0)
    similarities = 1 - 0.2 * rng.lognormal(sigma=0.3, size=200_000)
    threshold = suggested_threshold(similarities, n_queries=1000, false_pairs=5)
    assert (similarities >= threshold).mean() == pytest.approx(5 / 1000, rel=0.1)
    assert suggested_threshold(similarities, n_queries=10, false_pairs=9) == pytest.approx(
        np.median(similarities)
    )


def test_the_suggestion_is_the_default(pixels):
    found = near_duplicates(pixels[:500], pixels[500:900])
    assert found.threshold == found.suggested
    assert near_duplicates(pixels[:5], pixels[5:9]).threshold == 0.95


@pytest.mark.parametrize(
    "similarities", [[0.5] * 7, [1.0] * 20, [0.8] * 20, [1.0] * 6 + [0.5] * 14]
)
def test_no_suggestion_where_there_is_nothing_to_go_by(similarities):
    assert math.isnan(suggested_threshold(np.array(similarities), n_queries=10))


def test_a_row_is_not_its_own_neighbour_even_among_equals():
    neighbours = np.array([[0, 4], [7, 9]])
    similarities = np.array([[1.0, 0.9], [1.0, 0.95]])
    assert without_itself(neighbours, similarities, np.array([0, 1])).tolist() == [0.9, 1.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": 0.0}, r"in \(0, 1\], got 0"),
        ({"threshold": 1.5}, r"in \(0, 1\], got 1.5"),
        ({"k": 0}, "k = 0"),
    ],
)
def test_bad_arguments_are_refused(pixels, arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        near_duplicates(pixels, **arguments)


def test_bad_rows_are_refused(pixels):
    with pytest.raises(InvalidInputError, match="2 rows or more"):
        near_duplicates(pixels[:1])
    broken = pixels[:20].copy()
    broken[3, 0] = np.nan
    with pytest.raises(InvalidInputError, match="NaN"):
        near_duplicates(broken)
    with pytest.raises(ValueError, match="64"):
        near_duplicates(pixels[:20], pixels[:20, :8])


def test_the_effect_is_that_of_the_rows_left(sharp, tagged):
    left_out = sharp.ids[::3].tolist()
    effect = leak_effect(sharp, [*left_out, "no such row"], n_boot=300).set_index("metric")
    kept = np.ones(len(sharp), bool)
    kept[::3] = False
    right = sharp.predicted == sharp.truth
    assert effect.loc["top1", "all"] == pytest.approx(right.mean())
    assert effect.loc["top1", "without"] == pytest.approx(right[kept].mean())
    assert effect.loc["top1", "n_left_out"] == len(left_out)
    # The paired interval, by a loop over the same resamples.
    rng, differences = np.random.default_rng(0), []
    for _ in range(300):
        rows = rng.integers(len(sharp), size=len(sharp))
        differences.append(right[rows[kept[rows]]].mean() - right[rows].mean())
    bounds = effect.loc["top1", ["low", "high"]].to_numpy(float)
    np.testing.assert_allclose(bounds, np.quantile(differences, [0.025, 0.975]), atol=1e-6)
    assert leak_effect(tagged, tagged.ids[:5], n_boot=20)["metric"].tolist() == ["mAP", "micro_mAP"]


def test_leaving_out_nothing_changes_nothing_and_all_is_refused(sharp):
    effect = leak_effect(sharp, [], n_boot=20)
    assert (effect[["difference", "low", "high"]] == 0).all(axis=None)
    with pytest.raises(InvalidInputError, match="nothing is left"):
        leak_effect(sharp, sharp.ids)


def test_right_rows_that_leak_flatter(sharp):
    right = sharp.ids[sharp.predicted == sharp.truth][:200]
    effect = leak_effect(sharp, right, n_boot=200).set_index("metric")
    assert effect.loc["top1", "high"] < 0
    same = dataclasses.replace(sharp, truth=sharp.predicted)
    assert (leak_effect(same, right, n_boot=20)["difference"] == 0).all()
