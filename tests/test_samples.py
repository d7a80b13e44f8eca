"""The row table."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from small_store import make_samples

from featstore.errors import CorruptStoreError, InvalidInputError
from featstore.holdout import HoldOut
from featstore.samples import Samples, Target


def test_samples_come_back_as_they_were(tmp_path: Path) -> None:
    samples = make_samples(50)
    samples.write(zarr.create_group(tmp_path / "g"))
    again = Samples.read(zarr.open_group(tmp_path / "g", mode="r"))
    assert samples.differences(again) == []
    assert list(again.targets) == list(samples.targets)
    assert again.digest == samples.digest


def test_weights_come_back_and_count_as_labels_do(tmp_path: Path) -> None:
    plain = make_samples(50)
    weighted = dataclasses.replace(plain, weights=np.linspace(0, 2, 50))
    weighted.write(zarr.create_group(tmp_path / "g"))
    again = Samples.read(zarr.open_group(tmp_path / "g", mode="r"))
    assert weighted.differences(again) == []
    assert again.weights is not None
    np.testing.assert_array_equal(again.weights, weighted.weights)
    # Features stay as they are; a probe's numbers may not.
    assert weighted.digest == plain.digest
    assert weighted.labels_digest != plain.labels_digest
    assert plain.differences(again) == ["weights only in one of them"]
    other = dataclasses.replace(plain, weights=np.linspace(0, 3, 50))
    assert other.differences(again) == ["49 of another weight"]
    with pytest.raises(InvalidInputError, match="weights has 2 entries for 50"):
        dataclasses.replace(plain, weights=np.ones(2))
    with pytest.raises(InvalidInputError, match=r"1 samples have a weight .* with nan"):
        dataclasses.replace(plain, weights=np.where(np.arange(50) == 3, np.nan, 1.0))


def test_edited_ids_are_noticed(tmp_path: Path) -> None:
    make_samples(50).write(zarr.create_group(tmp_path / "g"))
    group = zarr.open_group(tmp_path / "g")
    group["ids"][3] = ord("X")
    with pytest.raises(CorruptStoreError, match="digest"):
        Samples.read(group)


def test_repeated_ids_and_wrong_lengths() -> None:
    with pytest.raises(InvalidInputError, match="'a'"):
        Samples(np.asarray(["a", "b", "a"]), np.asarray(["", "", ""]))
    with pytest.raises(InvalidInputError, match="2 entries for 1 samples"):
        Samples(np.asarray(["a"]), np.asarray(["", ""]))


def test_differences_say_what_changed() -> None:
    a = make_samples(12)
    moved = a.with_splits(np.full(12, "test"))
    assert a.differences(moved) == ["9 in another split"]
    assert "missing" in make_samples(13).differences(a)[0]
    relabelled = Samples(a.ids, a.splits, {"label": Target.from_labels(["q", "r"] * 6)}, a.marks)
    assert a.differences(relabelled) == [
        "target 'label' with other labels",
        "target 'tags' only in one of them",
    ]


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    fraction=st.floats(0.05, 0.9),
    seed=st.integers(0, 5),
)
def test_hold_out_is_stratified_static_and_keeps_training_rows(
    counts: list[int], fraction: float, seed: int
) -> None:
    labels = [f"c{c}" for c, count in enumerate(counts) for _ in range(count)]
    ids = np.asarray([f"{i}.jpg" for i in range(len(labels))])
    samples = Samples(ids, np.full(len(ids), ""), {"label": Target.from_labels(labels)})
    splits = HoldOut(fraction, seed).draw(samples).splits
    for c, count in enumerate(counts):
        held = int((splits[np.asarray(labels) == f"c{c}"] == "test").sum())
        assert abs(held - fraction * count) <= 1 or held in (1, count - 1)
        assert held < count
        assert held >= min(1, count - 1)
    # The same rows, listed in another order, go to the same splits.
    order = np.random.default_rng(seed).permutation(len(ids))
    shuffled = Samples(
        ids[order], np.full(len(ids), ""), {"label": Target.from_labels([labels[i] for i in order])}
    )
    np.testing.assert_array_equal(HoldOut(fraction, seed).draw(shuffled).splits, splits[order])


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "zarr.json", "__x"])
def test_target_names_that_no_folder_can_have(name: str) -> None:
    with pytest.raises(InvalidInputError, match="cannot be called"):
        Samples(np.asarray(["a"]), np.asarray([""]), {name: Target.from_labels(["x"])})


def test_hundreds_of_splits(tmp_path: Path) -> None:
    ids = np.asarray([str(i) for i in range(300)])
    samples = Samples(ids, np.asarray([f"fold {i}" for i in range(300)]))
    samples.write(zarr.create_group(tmp_path / "g"))
    again = Samples.read(zarr.open_group(tmp_path / "g", mode="r"))
    assert again.splits.tolist() == samples.splits.tolist()
