"""ScaledView against the scaling of the whole array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from featstore.scaled import ScaledView
from featstore.scaling import BlockScaling
from featstore.store import FeatureStore


@pytest.mark.parametrize("kind", ["none", "l2", "standardise"])
@pytest.mark.parametrize("names", ["a", ["a", "b"]])
def test_batches_are_the_rows_of_the_scaled_array(
    new_store: Callable[..., FeatureStore], kind: Any, names: Any
) -> None:
    rng = np.random.default_rng(0)
    store = new_store(300, a=rng.normal(size=(300, 5)), b=3 + rng.normal(size=(300, 7)))
    view = store.view(names, split="train")
    scaling = BlockScaling.fit(view, kind)
    scaled = ScaledView(view, scaling)
    batches = list(scaled.batches(64))
    assert {batch.dtype for batch in batches} == {scaled.dtype}
    assert max(map(len, batches)) == 64
    np.testing.assert_array_equal(np.concatenate(batches), scaling.apply(view))
    assert (len(scaled), scaled.shape) == (len(view), view.shape)
    np.testing.assert_array_equal(scaled.ids, view.ids)
