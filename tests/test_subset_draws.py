"""Draws by size and by class: nested, disjoint, in proportion, and the same for the same ids."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.class_draws import ClassDraws
from featstore.counts import count_name, parse_count
from featstore.errors import InvalidInputError
from featstore.size_draws import SizeDraws

N = 60
IDS = np.asarray([f"ü/{i}.jpg" for i in range(N)])
sizes_of = st.sets(st.integers(1, N), min_size=1, max_size=4).map(tuple)


def classes_of_rows(seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, rng.integers(1, 9), N)


def draw(plan, **given_):
    drawn = plan.draw(np.arange(N), IDS, **given_)
    return {(one.size, one.draw): one.subset for one in drawn}


@settings(deadline=None, max_examples=60)
@given(sizes_of, st.booleans(), st.integers(0, 999), st.integers(1, 3))
def test_smaller_sizes_are_parts_of_larger_ones(sizes, stratified, seed, draws):
    plan = SizeDraws(sizes, draws=draws, stratified=stratified, seed=seed)
    found = draw(plan, codes=classes_of_rows(seed))
    for (size, number), subset in found.items():
        assert len(set(subset.rows)) == len(subset) == size
        assert (np.diff(subset.rows) > 0).all()
        for more in sizes:
            if more > size:
                assert set(subset.rows) <= set(found[more, number].rows)


@settings(deadline=None, max_examples=60)
@given(sizes_of, st.booleans(), st.integers(0, 999))
def test_disjoint_sizes_share_no_row(sizes, stratified, seed):
    plan = SizeDraws(sizes, relation="disjoint", stratified=stratified, seed=seed)
    if sum(sizes) > N:
        with pytest.raises(InvalidInputError, match="cannot be drawn"):
            draw(plan, codes=classes_of_rows(seed))
        return
    found = draw(plan, codes=classes_of_rows(seed))
    rows = np.concatenate([subset.rows for subset in found.values()])
    assert len(np.unique(rows)) == len(rows) == sum(sizes)


def apportioned(counts, seats):
    """Sainte-Laguë, seat by seat: to the class with the largest count / (2 seats + 1)."""
    given_ = np.zeros(len(counts), int)
    for _ in range(seats):
        given_[np.argmax(np.where(given_ < counts, counts / (2 * given_ + 1), 0))] += 1
    return given_


@settings(deadline=None, max_examples=40)
@given(st.integers(1, N), st.integers(0, 999))
def test_strata_are_those_of_sainte_lague(size, seed):
    codes = classes_of_rows(seed)
    (subset,) = draw(SizeDraws((size,), stratified=True, seed=seed), codes=codes).values()
    counts = np.bincount(codes)
    found = np.bincount(codes[subset.rows], minlength=len(counts))
    expected = apportioned(counts, size)
    # Classes that tie for the last seats may swap them; the claims that were met are the same.
    assert claims(found, counts) == claims(expected, counts)


def claims(seats, counts):
    return sorted(
        (2 * s + 1) / n for given_, n in zip(seats, counts, strict=True) for s in range(given_)
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999))
def test_only_ids_count(seed):
    order = np.random.default_rng(seed).permutation(N)
    codes = classes_of_rows(seed)
    for stratified, relation in itertools.product((False, True), ("nested", "independent")):
        plan = SizeDraws((7, 20), draws=2, relation=relation, stratified=stratified)
        more = SizeDraws((7, 13, 20), draws=5, relation=relation, stratified=stratified)
        here = draw(more, codes=codes)
        there = plan.draw(np.arange(N), IDS[order], codes=codes[order])
        for one in there:
            assert one.subset.digest == here[one.size, one.draw].digest
            assert set(IDS[order][one.subset.rows]) == set(IDS[here[one.size, one.draw].rows])


def test_draws_seeds_and_independent_sizes_differ():
    one = draw(SizeDraws((20, 30), draws=10))
    other = draw(SizeDraws((20, 30), draws=10, seed=1))
    digests = {subset.digest for found in (one, other) for subset in found.values()}
    assert len(digests) == 40
    alone = draw(SizeDraws((20, 30), relation="independent"))
    assert not set(alone[20, 0].rows) <= set(alone[30, 0].rows)


def test_every_row_is_drawn_equally_often():
    found = draw(SizeDraws((15,), draws=2000))
    counts = np.bincount(np.concatenate([subset.rows for subset in found.values()]))
    assert np.abs(counts - 500).max() < 5 * 19.4  # standard deviation of a share of 1/4


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 999), st.data())
def test_class_sets_nest_in_classes_and_in_rows(seed, data):
    per = data.draw(st.integers(4, 8))
    codes = np.random.default_rng(seed).permutation(np.repeat(np.arange(6), 10))
    names = [f"class {i}" for i in range(6)]
    few, many = ClassDraws(((2, per), (5, 3)), seed=seed).draw(
        np.arange(N), codes, IDS, classes=names
    )
    counts = [np.bincount(codes[one.subset.rows], minlength=6) for one in (few, many)]
    assert sorted(counts[0]) == [0] * 4 + [per] * 2
    assert sorted(counts[1]) == [0] + [3] * 5
    assert set(np.flatnonzero(counts[0])) <= set(np.flatnonzero(counts[1]))
    both = np.isin(codes[many.subset.rows], np.flatnonzero(counts[0]))
    assert set(many.subset.rows[both]) <= set(few.subset.rows)


def test_the_diversity_sets_of_the_paper_have_one_size():
    codes = np.repeat(np.arange(100), 50)
    ids = np.asarray([f"{i}.jpg" for i in range(5000)])
    plan = ClassDraws(((20, 50), (50, 20), (100, 10)))
    drawn = plan.draw(np.arange(5000), codes, ids, classes=[str(c) for c in range(100)])
    assert [len(one.subset) for one in drawn] == [1000] * 3
    assert [len(np.unique(codes[one.subset.rows])) for one in drawn] == [20, 50, 100]


def test_classes_that_are_too_small_are_passed_over_and_said():
    codes, names = np.repeat([0, 1, 2], [50, 5, 5]), ["a", "b", "c"]
    (one,) = ClassDraws(((1, 6),)).draw(np.arange(N), codes, IDS, classes=names)
    assert set(codes[one.subset.rows]) == {0}
    assert one.subset.recipe["passed_over"] == 2
    with pytest.raises(InvalidInputError, match="1 of 3 classes have 6 rows"):
        ClassDraws(((2, 6),)).draw(np.arange(N), codes, IDS, classes=names)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SizeDraws(()), "each once and at least 1"),
        (lambda: SizeDraws((0, 3)), "each once and at least 1"),
        (lambda: SizeDraws((3, 3)), "each once and at least 1"),
        (lambda: SizeDraws((3,), draws=0), "draws must be at least 1"),
        (lambda: SizeDraws((3,), relation="other"), "relation must be"),
        (lambda: draw(SizeDraws((N + 1,))), "61 rows cannot be drawn from 60"),
        (lambda: draw(SizeDraws((3,), stratified=True)), "need the class"),
        (lambda: ClassDraws(()), "pairs"),
        (lambda: ClassDraws(((0, 2),)), "pairs"),
    ],
)
def test_what_cannot_be_drawn_is_refused(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()


@given(st.integers(1, 10**9))
def test_names_of_counts_read_back(count):
    assert parse_count(count_name(count)) == count


@pytest.mark.parametrize("text", ["", "k", "1.5", "-3", "1e6", "50 k", "1.23456k"])
def test_what_is_no_count_is_refused(text):
    with pytest.raises(InvalidInputError, match="no number of rows"):
        parse_count(text)
