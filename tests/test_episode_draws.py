"""Episodes: N classes, K rows of each, and queries that are not among them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.episode_draws import EpisodeDraws
from featstore.errors import InvalidInputError


def pools(sizes, *, seed=0):
    """Two pools of rows, and ids and class names."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows = rng.permutation(len(codes))
    half = len(rows) // 2
    first, second = np.sort(rows[:half]), np.sort(rows[half:])
    ids = np.asarray([f"{i}.jpg" for i in range(len(codes))])
    names = [f"class {i}" for i in range(len(sizes))]
    return codes, first, second, ids, names


@settings(deadline=None, max_examples=30)
@given(
    way=st.integers(2, 5),
    shots=st.integers(1, 4),
    queries=st.integers(1, 6),
    one_pool=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_an_episode_is_what_was_asked_for(way, shots, queries, one_pool, seed):
    codes, first, second, ids, names = pools([60] * 8, seed=seed)
    ask = first if one_pool else second
    plan = EpisodeDraws(way=way, shots=shots, queries=queries, episodes=6, seed=seed)
    found = plan.draw((first, codes[first]), (ask, codes[ask]), ids, classes=names)
    assert found.classes.shape == (6, way)
    for classes, support, asked in zip(found.classes, found.support, found.queries, strict=True):
        assert (np.diff(classes) > 0).all()
        np.testing.assert_array_equal(codes[support], np.repeat(classes, shots))
        np.testing.assert_array_equal(codes[asked], np.repeat(classes, queries))
        assert len({*support, *asked}) == way * (shots + queries)
        assert set(support) <= set(first)
        assert set(asked) <= set(ask)


def test_only_names_and_ids_count():
    codes, first, second, ids, names = pools([40] * 6)
    plan = EpisodeDraws(way=3, shots=2, queries=4, episodes=20)
    found = plan.draw((first, codes[first]), (second, codes[second]), ids, classes=names)
    order = np.random.default_rng(1).permutation(len(ids))
    place = np.argsort(order)
    renumbered = 5 - codes  # the same names under other codes
    again = plan.draw(
        *((place[rows], renumbered[rows]) for rows in (first, second)),
        ids[order],
        classes=names[::-1],
    )
    for i in range(20):
        assert set(ids[found.support[i]]) == set(ids[order][again.support[i]])
        assert set(ids[found.queries[i]]) == set(ids[order][again.queries[i]])


def test_classes_and_rows_are_drawn_evenly():
    codes, first, second, ids, names = pools([30] * 10)
    plan = EpisodeDraws(way=5, shots=1, queries=1, episodes=2000)
    found = plan.draw((first, codes[first]), (second, codes[second]), ids, classes=names)
    counts = np.bincount(found.classes.ravel())
    assert np.abs(counts - 1000).max() < 5 * 22.4  # the deviation of a binomial share of 1/2
    rows = np.bincount(found.support.ravel(), minlength=300)[first]
    expected = counts[codes[first]] / np.bincount(codes[first])[codes[first]]
    assert (np.abs(rows - expected) < 6 * expected**0.5).all()


def test_fewer_episodes_are_the_first_ones():
    codes, first, second, ids, names = pools([30] * 6)
    draws = [
        EpisodeDraws(way=2, shots=1, queries=1, episodes=n).draw(
            (first, codes[first]), (second, codes[second]), ids, classes=names
        )
        for n in (5, 9)
    ]
    np.testing.assert_array_equal(draws[0].support, draws[1].support[:5])
    assert draws[0].digest != draws[1].digest


def test_bad_input():
    codes, first, second, ids, names = pools([10, 10, 2])
    pool = first, codes[first]
    with pytest.raises(InvalidInputError, match="0 of 3 classes have 1 rows to learn"):
        EpisodeDraws(way=3, shots=1, queries=40).draw(pool, pool, ids, classes=names)
    overlapping = np.append(first[:3], second), np.append(codes[first[:3]], codes[second])
    with pytest.raises(InvalidInputError, match="overlap"):
        EpisodeDraws(way=2).draw(pool, overlapping, ids, classes=names)
    for change in ({"way": 1}, {"shots": 0}, {"queries": 0}, {"episodes": 0}):
        with pytest.raises(InvalidInputError, match="an episode has at least two classes"):
            EpisodeDraws(**change)
