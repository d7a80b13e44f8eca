"""Shelf: what several fits share is read and made once, and the same as without."""

from __future__ import annotations

import numpy as np
import pytest

from featstore.probes import LogisticProbe, SVMProbe
from featstore.probes.preconditioner import GramBasis
from featstore.scaled import ScaledView
from featstore.scaling import BlockScaling, ScalingKind
from featstore.shelf import Shelf
from featstore.store import FeatureStore
from featstore.view import FeatureView


@pytest.mark.parametrize("kind", ["none", "l2", "standardise"])
@pytest.mark.parametrize("names", [["pixels"], ["pca", "pixels"]])
def test_rows_are_those_of_the_view_to_the_bit(
    store: FeatureStore, names: list[str], kind: ScalingKind
) -> None:
    for view in (store.view(names, split="train"), store.view(names, rows=np.arange(0, 900, 7))):
        plain = ScaledView(view, BlockScaling.fit(view, kind))
        held = Shelf().rows(view, Shelf().scaling(view, kind))
        index = np.asarray([5, 0, 17, 5])
        assert held.array().dtype == plain.dtype
        np.testing.assert_array_equal(held.array(), plain.array(), strict=True)
        np.testing.assert_array_equal(held.take(index), plain.take(index), strict=True)
        for size in (None, 50):
            mine, theirs = list(held.batches(size)), list(plain.batches(size))
            assert [len(batch) for batch in mine] == [len(batch) for batch in theirs]
            for a, b in zip(mine, theirs, strict=True):
                np.testing.assert_array_equal(a, b, strict=True)


def test_values_are_read_once(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    load = FeatureView.gather
    monkeypatch.setattr(
        FeatureView, "gather", lambda self, *a: (reads.append(self.name), load(self, *a))[1]
    )
    shelf, rows = Shelf(), np.arange(0, 900, 7)
    for _ in range(3):
        view = store.view(["pca", "pixels"], rows=rows)
        held = shelf.rows(view, shelf.scaling(view, "none"))
        held.array(), list(held.batches(10)), held.take(np.arange(3))
    assert reads == ["pca", "pixels"]


def test_one_gram_basis_serves_targets_seeds_and_probes(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    build = GramBasis._of.__func__  # type: ignore[attr-defined]

    def counted(cls: type[GramBasis], *arguments: object, **options: object) -> GramBasis:
        made.append(1)
        return build(cls, *arguments, **options)

    monkeypatch.setattr(GramBasis, "_of", classmethod(counted))
    view = store.view("pixels", split="train")
    shelf = Shelf()
    rows = shelf.rows(view, shelf.scaling(view, "none"))
    y = store.target("digit")[1].codes[view.rows]
    for seed in (0, 1):
        LogisticProbe(0.1, seed=seed).fit(rows, y)
        LogisticProbe(0.1, seed=seed).fit(rows, y % 2)
        list(LogisticProbe(0.1).sweep(rows, y, rows, [0.01, 0.1]))
    SVMProbe(0.1).fit(rows, y)
    assert sum(made) == 1
    LogisticProbe(0.1, dtype="float32").fit(rows, y)
    assert sum(made) == 2


def test_what_was_not_used_for_longest_is_dropped(store: FeatureStore) -> None:
    views = [
        store.view(["pca", "pixels"], rows=np.arange(start, start + 300)) for start in range(9)
    ]
    scaling = BlockScaling.fit(views[0], "none")
    size = 300 * 80 * 4
    shelf = Shelf(3 * size)
    for view in views:
        shelf.rows(view, scaling).array()
        assert shelf.nbytes <= 4 * size
    kept = shelf.rows(views[-1], scaling)
    assert kept is shelf.rows(views[-1], scaling)
    too_large = Shelf(size - 1).rows(views[0], scaling)
    np.testing.assert_array_equal(too_large.array(), views[0].array())
    assert too_large.nbytes == 0
