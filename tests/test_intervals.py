"""Intervals against scipy and numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from scipy.stats import t as student_distribution

from featstore.errors import InvalidInputError
from featstore.intervals import percentile, student_t, wilson


@given(n=st.integers(1, 2000), share=st.floats(0, 1), level=st.sampled_from([0.5, 0.9, 0.99]))
def test_wilson_is_scipys(n, share, level):
    k = round(share * n)
    ours = wilson(k, n, level=level)
    theirs = binomtest(k, n).proportion_ci(level, method="wilson")
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_wilson_of_no_trials_is_undefined_and_of_all_or_none_is_closed():
    low, high = wilson([0, 0, 7], [0, 7, 7])
    assert np.isnan(low[0])
    assert np.isnan(high[0])
    assert low[1] == 0
    assert high[2] == 1


def test_percentile_leaves_undefined_resamples_out():
    samples = np.random.default_rng(0).normal(size=(2, 400))
    samples[1, ::3] = np.nan
    low, high = percentile(samples, level=0.8)
    np.testing.assert_allclose(low, np.nanquantile(samples, 0.1, axis=1))
    np.testing.assert_allclose(high, np.nanquantile(samples, 0.9, axis=1))


def test_percentile_without_any_sample_is_undefined():
    low, high = percentile(np.array([[np.nan, np.nan], [1.0, 1.0]]))
    assert np.isnan([low[0], high[0]]).all()
    assert (low[1], high[1]) == (1, 1)


@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_an_interval_of_shares_is_students_cut_to_shares(values):
    mean, low, high = student_t(values, within=(0, 1))
    middle, least, most = student_t(values)
    assert 0 <= low <= mean <= high <= 1
    assert (mean, low, high) == (middle, max(least, 0), min(most, 1))
    if np.std(values) > 1e-6:
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        scipys = student_distribution.interval(0.95, len(values) - 1, loc=mean, scale=error)
        np.testing.assert_allclose((least, most), scipys, rtol=1e-9, atol=1e-12)


def test_cutting_an_interval_of_shares_loses_no_coverage():
    rng = np.random.default_rng(0)
    draws = rng.beta(19, 1, (2000, 3))  # mean 0.95: most uncut intervals leave [0, 1]
    found = [(student_t(three), student_t(three, within=(0, 1))) for three in draws]
    assert np.mean([high > 1 for (_, _, high), _ in found]) > 0.5
    covered = [[low <= 0.95 <= high for _, low, high in pair] for pair in found]
    assert [whole for whole, _ in covered] == [cut for _, cut in covered]


def test_values_that_are_not_shares_are_refused():
    with pytest.raises(InvalidInputError, match=r"from 0\.5 to 1\.2 are not within \(0, 1\)"):
        student_t([0.5, 1.2], within=(0, 1))


@pytest.mark.parametrize("level", [0, 1, 95])
def test_a_level_outside_its_range_is_refused(level):
    with pytest.raises(InvalidInputError, match="coverage"):
        wilson(1, 2, level=level)
