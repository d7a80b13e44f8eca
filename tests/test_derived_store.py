"""Derived features: computed rows stand where stored ones would, and nothing is written."""

from __future__ import annotations

import numpy as np
import pytest
from small_store import make_samples

from featstore.derived_store import DerivedFeature, DerivedStore
from featstore.errors import FeatureNotFoundError, InvalidInputError
from featstore.fused_view import FusedView


@pytest.fixture
def blocks():
    rng = np.random.default_rng(0)
    n = 300
    return {
        name: rng.normal(size=(n, d)).astype(np.float16).astype(np.float32)
        for name, d in (("a", 3), ("b", 2))
    }


@pytest.fixture
def derived(new_store, blocks):
    store = new_store(samples=make_samples(300), **blocks)
    M = np.arange(10, dtype=np.float32).reshape(5, 2)
    made = DerivedFeature("ab@made", ("a", "b"), 2, lambda rows: rows @ M, "times M")
    return store, DerivedStore(store, [made]), np.hstack([blocks["a"], blocks["b"]]) @ M


def test_rows_are_the_functions_of_the_sources_rows(derived):
    _, store, expected = derived
    view = store.view("ab@made", split="test")
    rows = store.rows("test")
    assert view.shape == (75, 2)
    assert view.dtype == np.float32
    np.testing.assert_allclose(view.array(), expected[rows], rtol=1e-6)
    index = np.array([5, 0, 5])
    np.testing.assert_allclose(view.take(index), expected[rows][index], rtol=1e-6)
    np.testing.assert_allclose(np.vstack(list(view.batches(20))), expected[rows], rtol=1e-6)
    assert view.ids.tolist() == store.samples.ids[rows].tolist()


def test_stored_and_derived_blocks_lie_side_by_side(derived, blocks):
    _, store, expected = derived
    view = store.view(["b", "ab@made"], rows=np.array([7, 3]))
    assert isinstance(view, FusedView)
    assert view.names == ("b", "ab@made")
    np.testing.assert_allclose(view.array()[:, :2], blocks["b"][[7, 3]])
    np.testing.assert_allclose(view.array()[:, 2:], expected[[7, 3]], rtol=1e-6)


def test_the_digest_tells_recipes_apart_and_the_store_stays_as_it_is(derived):
    plain, store, _ = derived
    made = DerivedFeature("ab@made", ("a", "b"), 2, lambda rows: rows[:, :2], "first two")
    other = DerivedStore(plain, [made]).view("ab@made")
    view = store.view("ab@made")
    digests = {block.blocks[0].spec.digest for block in (view, other, plain.view("a"))}
    assert len(digests) == 3
    assert sorted(plain.features) == sorted(store.features) == ["a", "b"]
    with pytest.raises(FeatureNotFoundError):
        plain.view("ab@made")
    with pytest.raises(InvalidInputError, match="each once"):
        store.view(["a", "a"])
