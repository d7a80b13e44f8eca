"""Tests of significance against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom, binomtest, false_discovery_control
from statsmodels.stats.multitest import multipletests

from featstore.errors import InvalidInputError
from featstore.significance import benjamini_hochberg, holm, mcnemar

counts = st.integers(0, 400)


@given(a=counts, b=counts)
def test_exact_mcnemar_is_the_binomial_test(a, b):
    expected = binomtest(a, a + b).pvalue if a + b else 1.0
    assert mcnemar(a, b) == pytest.approx(expected, rel=1e-9)


@given(a=counts, b=counts)
def test_mid_p_counts_half_of_the_observed_outcome(a, b):
    n = a + b
    if n == 0:
        assert mcnemar(a, b, test="mid-p") == 1
        return
    outcomes = np.arange(n + 1)
    distance = np.abs(2 * outcomes - n)
    chances = binom.pmf(outcomes, n, 0.5)
    further, equally = distance > abs(a - b), distance == abs(a - b)
    expected = chances[further].sum() + chances[equally].sum() / 2
    assert mcnemar(a, b, test="mid-p") == pytest.approx(expected, rel=1e-8)


def test_mcnemar_takes_arrays():
    p = mcnemar(np.array([[0, 5], [3, 1]]), np.array([[0, 5], [9, 8]]))
    np.testing.assert_allclose(p, [[1, 1], [binomtest(3, 12).pvalue, binomtest(1, 9).pvalue]])


def test_negative_counts_are_refused():
    with pytest.raises(InvalidInputError, match="negative"):
        mcnemar(-1, 2)


@given(p=arrays(float, st.integers(1, 40), elements=st.floats(0, 1)))
def test_adjusted_p_values_are_scipys(p):
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p, method="bh"))


def test_untested_hypotheses_do_not_count():
    p = np.array([np.nan, 0.01, np.nan, 0.5, 0.02])
    q = benjamini_hochberg(p)
    np.testing.assert_allclose(q[[1, 3, 4]], false_discovery_control(p[[1, 3, 4]]))
    assert np.isnan(q[[0, 2]]).all()


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_holms_p_values_are_those_of_statsmodels(n):
    p = np.random.default_rng(n).beta(0.3, 3, n).round(3)
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


def test_holm_leaves_out_what_was_not_tested():
    adjusted = holm(np.array([np.nan, 0.01, 0.04]))
    assert np.isnan(adjusted[0])
    np.testing.assert_allclose(adjusted[1:], [0.02, 0.04])
