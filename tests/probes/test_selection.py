"""Selection of the largest scores against a full stable sort."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.probes.selection import top_columns


def sort(scores, k):
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    t=st.sampled_from([1, 5, 64, 320, 1600, 4096]),
    k=st.integers(1, 300),
    n_values=st.sampled_from([1, 2, 10, 1000, 10**6]),
)
def test_it_is_a_stable_sort(seed, t, k, n_values):
    rng = np.random.default_rng(seed)
    scores = rng.integers(n_values, size=(9, t)).astype(np.float32)
    k = min(k, t)
    values, columns = top_columns(torch.from_numpy(scores), k)
    expected_values, expected = sort(scores, k)
    np.testing.assert_array_equal(values, expected_values)
    np.testing.assert_array_equal(columns, expected)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    t=st.sampled_from([64, 1600, 4096]),
    k=st.integers(1, 60),
    n_values=st.sampled_from([2, 30, 10**6]),
    share=st.floats(0, 1),
)
def test_of_those_above_a_value_none_is_missing(seed, t, k, n_values, share):
    rng = np.random.default_rng(seed)
    scores = rng.integers(n_values, size=(9, t)).astype(np.float32)
    above = np.quantile(scores, share, axis=1).astype(np.float32)
    values, columns = top_columns(torch.from_numpy(scores), k, above=torch.from_numpy(above))
    expected_values, expected = sort(scores, k)
    for row in range(len(scores)):
        counts = expected_values[row] > above[row]
        m = counts.sum()
        np.testing.assert_array_equal(columns[row, :m], expected[row, :m])
        np.testing.assert_array_equal(values[row, :m], expected_values[row, :m])


@pytest.mark.parametrize("k", [1, 7])
def test_nothing_above(k):
    scores = torch.rand(4, 1600)
    values, columns = top_columns(scores, k, above=torch.full((4,), 2.0))
    assert values.shape == columns.shape == (4, 0)
