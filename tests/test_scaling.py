"""Block scaling against scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler, normalize

from featstore.scaling import BlockScaling
from featstore.store import FeatureStore

NewStore = Callable[..., FeatureStore]


@pytest.fixture
def store(new_store: NewStore) -> FeatureStore:
    rng = np.random.default_rng(0)
    a = rng.normal(5, 2, (900, 7))
    a[10] = 0
    b = rng.normal(-30, 0.1, (900, 5))
    b[:, 2] = -30.1
    return new_store(900, a=a, b=b)


def test_no_scaling_of_one_block_is_no_copy(store: FeatureStore) -> None:
    view = store.view("a", split="train")
    assert BlockScaling.fit(view, "none").apply(view).base is not None


def test_standardise(store: FeatureStore) -> None:
    train, test = (store.view(["a", "b"], split=split) for split in ("train", "test"))
    scaling = BlockScaling.fit(train, "standardise")
    oracle = StandardScaler().fit(train.array().astype(np.float64))
    expected = oracle.transform(test.array().astype(np.float64))
    expected[:, 9] = 0  # constant, were it not for rounding
    np.testing.assert_allclose(scaling.apply(test), expected, atol=2e-4)


def test_l2_is_per_block_and_keeps_zero_rows(store: FeatureStore) -> None:
    train = store.view(["a", "b"], split="train")
    scaled = BlockScaling.fit(train, "l2").apply(train)
    for block, columns in zip(train.blocks, (slice(0, 7), slice(7, 12)), strict=True):
        expected = normalize(block.array().astype(np.float64))
        np.testing.assert_allclose(scaled[:, columns], expected, atol=1e-6)
    assert (scaled[10, :7] == 0).all()


def test_test_rows_teach_nothing(store: FeatureStore) -> None:
    train = store.view("a", split="train")
    a = BlockScaling.fit(train, "standardise")
    b = BlockScaling.fit(store.view("a"), "standardise")
    assert not np.array_equal(a.mean, b.mean)
    np.testing.assert_allclose(a.mean, train.array().astype(np.float64).mean(axis=0), rtol=1e-6)
