"""SampleOrder: one permutation per epoch, from the seed alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.errors import InvalidInputError
from featstore.probes.sample_order import SampleOrder


@settings(max_examples=50, deadline=None)
@given(
    n=st.integers(1, 50),
    batch_size=st.integers(1, 60),
    seed=st.integers(0, 2**32),
    drop_last=st.booleans(),
)
def test_epochs_are_permutations_whatever_the_batches(n, batch_size, seed, drop_last):
    order = SampleOrder(n, batch_size=batch_size, seed=seed, drop_last=drop_last)
    whole = SampleOrder(n, batch_size=n, seed=seed)
    length = order.steps_per_epoch
    for epoch in (2, 0):  # in any order
        batches = [order.batch(epoch * length + i) for i in range(length)]
        found, expected = np.concatenate(batches), whole.batch(epoch)
        np.testing.assert_array_equal(np.sort(expected), np.arange(n))
        np.testing.assert_array_equal(found, expected[: len(found)])
        assert n - len(found) < min(batch_size, n) if drop_last else len(found) == n
        assert {len(batch) for batch in batches[:-1]} <= {batch_size}
        assert not drop_last or len(batches[-1]) == min(batch_size, n)


def test_epochs_and_seeds_differ():
    orders = [
        SampleOrder(100, batch_size=100, seed=seed).batch(e) for seed in (0, 1) for e in (0, 1)
    ]
    assert len({order.tobytes() for order in orders}) == 4


def test_the_order_is_for_ever():
    # Weights of stored runs depend on it.
    order = SampleOrder(6, batch_size=6, seed=0)
    np.testing.assert_array_equal(
        [order.batch(0), order.batch(1)],
        [np.random.default_rng([0, epoch]).permutation(6) for epoch in (0, 1)],
    )


def test_batches_need_rows():
    with pytest.raises(InvalidInputError, match="batch_size must be at least 1, got 0"):
        SampleOrder(6, batch_size=0, seed=0)
