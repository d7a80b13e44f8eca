"""How far rows lie apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from featstore.deviation import differences

NUMBERS = st.floats(-1e4, 1e4, width=16) | st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0])


@settings(max_examples=50, deadline=None)
@given(arrays(np.float16, (4, 3), elements=NUMBERS), arrays(np.float16, (4, 3), elements=NUMBERS))
def test_it_is_a_distance(X: np.ndarray, Y: np.ndarray) -> None:
    absolute, relative = differences(X, Y)
    assert (absolute >= 0).all()
    assert (relative >= 0).all()
    equal = ((X == Y) | (np.isnan(X) & np.isnan(Y))).all(axis=1)
    np.testing.assert_array_equal(absolute == 0, equal)
    np.testing.assert_array_equal(relative == 0, equal)
    np.testing.assert_array_equal(differences(Y, X), (absolute, relative))
    assert (relative[np.isfinite(absolute)] <= 2).all()


def test_against_numbers_by_hand() -> None:
    X = np.array([[3.0, -4.0], [0.0, 0.0], [1.0, np.nan]])
    Y = np.array([[3.0, -5.0], [0.0, -0.0], [1.0, 2.0]])
    absolute, relative = differences(X, Y)
    assert absolute.tolist() == [1, 0, np.inf]
    assert relative.tolist() == [pytest.approx(0.2), 0, np.inf]
