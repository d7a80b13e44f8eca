"""Intervals against scipy and numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from featstore.errors import InvalidInputError
from featstore.intervals import percentile, wilson


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


@pytest.mark.parametrize("level", [0, 1, 95])
def test_a_level_outside_its_range_is_refused(level):
    with pytest.raises(InvalidInputError, match="coverage"):
        wilson(1, 2, level=level)
