"""Which rows are finite: what NumPy says, faster."""

from __future__ import annotations

import numpy as np
import pytest

from featstore.finite import all_finite, finite_rows

SPECIAL = [np.nan, -np.nan, np.inf, -np.inf]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_kind_of_number_is_judged_as_by_numpy(dtype):
    limits = np.finfo(dtype)
    values = [0.0, -0.0, limits.max, limits.min, limits.tiny, -limits.smallest_subnormal]
    assert all_finite(np.array(values, dtype))
    X = np.array([[1.0, value] for value in values + SPECIAL], dtype)
    expected = np.isfinite(X).all(axis=1)
    assert not expected.all()
    np.testing.assert_array_equal(finite_rows(X), expected)
    for order in (np.asfortranarray, lambda rows: np.repeat(rows, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(finite_rows(order(X)), expected)
        assert finite_rows(order(X[: len(values)])).all()
