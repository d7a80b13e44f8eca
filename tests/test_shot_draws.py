"""Draws of k rows per class: nested, the same for the same ids, and complete."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.errors import InvalidInputError
from featstore.few_shot_presets import SHOT_DRAWS
from featstore.shot_draws import ShotDraws


def pool(sizes, *, seed=0):
    """Rows of a store, classes of which have these sizes, in random order."""
    codes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    ids = np.asarray([f"ü/{i}.jpg" for i in range(len(codes))])
    return np.arange(len(codes)), codes, ids, [f"class {i}" for i in range(len(sizes))]


def draw(draws, rows, codes, ids, classes):
    found = draws.draw(rows, codes, ids, classes=classes)
    return {(one.shots, one.draw): one.subset for one in found}


@settings(deadline=None, max_examples=50)
@given(
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=6).filter(any),
    shots=st.sets(st.integers(1, 15), min_size=1, max_size=4),
    draws=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_rows_are_nested_and_of_every_class(sizes, shots, draws, seed):
    rows, codes, ids, classes = pool(sizes, seed=seed)
    plan = ShotDraws(tuple(shots), draws=draws, short="all", seed=seed)
    found = draw(plan, rows, codes, ids, classes)
    assert list(found) == [(k, i) for k in sorted(shots) for i in range(draws)]
    for (k, i), subset in found.items():
        counts = np.bincount(codes[subset.rows], minlength=len(sizes))
        np.testing.assert_array_equal(counts, np.minimum(sizes, k))
        assert (np.diff(subset.rows) > 0).all()
        for more in (more for more in shots if more > k):
            assert set(subset.rows) <= set(found[more, i].rows)


def test_draws_differ_from_each_other_and_between_seeds():
    rows, codes, ids, classes = pool([200] * 5)
    found = draw(ShotDraws((4,), draws=30), rows, codes, ids, classes)
    other = draw(ShotDraws((4,), draws=30, seed=1), rows, codes, ids, classes)
    choice = draw(ShotDraws((4,), draws=30, purpose="choice"), rows, codes, ids, classes)
    digests = [subset.digest for one in (found, other, choice) for subset in one.values()]
    assert len(set(digests)) == 90


def test_every_row_is_drawn_equally_often():
    rows, codes, ids, classes = pool([40, 40])
    found = draw(ShotDraws((10,), draws=2000), rows, codes, ids, classes)
    counts = np.bincount(np.concatenate([subset.rows for subset in found.values()]))
    # 500 expected; the standard deviation of a binomial share of 1/4 is 19.4.
    assert np.abs(counts - 500).max() < 5 * 19.4
    together = sum({0, 1} <= set(subset.rows) for subset in found.values())
    expected = 2000 / 16 if codes[0] != codes[1] else 2000 * 10 * 9 / (40 * 39)
    assert abs(together - expected) < 5 * expected**0.5


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000))
def test_only_ids_count(seed):
    rows, codes, ids, classes = pool([9, 20, 14], seed=seed)
    order = np.random.default_rng(seed).permutation(len(ids))
    plan = ShotDraws((1, 6), draws=2)
    found = draw(plan, rows, codes, ids, classes)
    shuffled = draw(plan, rows, codes[order], ids[order], classes)
    more = ShotDraws((1, 2, 6), draws=5)
    without_first = draw(more, rows[codes > 0], codes[codes > 0], ids, classes)
    for key, subset in found.items():
        assert set(ids[subset.rows]) == set(ids[order][shuffled[key].rows])
        assert subset.digest == shuffled[key].digest
        # Other classes, draws and shots do not matter either.
        assert set(subset.rows) >= set(without_first[key].rows)


def test_draws_are_what_they_have_always_been():
    """Published numbers name a seed: another hash would quietly draw other rows."""
    rows, codes, ids, classes = pool([50, 50])
    [subset] = draw(ShotDraws((3,), draws=1), rows, codes, ids, classes).values()
    assert ids[subset.rows].tolist() == [f"ü/{i}.jpg" for i in (1, 5, 10, 48, 74, 98)]


def test_independent_draws_are_not_nested():
    rows, codes, ids, classes = pool([100] * 4)
    found = draw(ShotDraws((5, 10), draws=10, nested=False), rows, codes, ids, classes)
    nested = [set(found[5, i].rows) <= set(found[10, i].rows) for i in range(10)]
    assert not any(nested)


def test_too_few_rows_are_named():
    arguments = pool([3, 0, 9, 1])
    with pytest.raises(
        InvalidInputError,
        match=r"2 of 3 classes have fewer than 4 rows.*: class 0 \(3\), class 3 \(1\)",
    ):
        draw(ShotDraws((1, 4), draws=1), *arguments)
    for fits in (ShotDraws((1,), draws=1), ShotDraws((1, 4), draws=1, short="all")):
        draw(fits, *arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shots": ()}, "shots are rows per class"),
        ({"shots": (0, 1)}, "at least 1"),
        ({"shots": (2, 2)}, "each number once"),
        ({"draws": 0}, "draws must be at least 1"),
        ({"short": "skip"}, "'error' or 'all'"),
    ],
)
def test_plans_that_make_no_sense(change, message):
    with pytest.raises(InvalidInputError, match=message):
        ShotDraws(**change)


def test_published_protocols():
    assert SHOT_DRAWS["bigvision-fewshot"] == ShotDraws((1, 5, 10, 25), draws=3, short="all")
    assert SHOT_DRAWS["vissl-lowshot"].shots == (1, 2, 4, 8, 16, 32, 64, 96)
    assert not SHOT_DRAWS["vissl-lowshot"].nested
