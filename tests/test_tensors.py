"""Tensors of a view: the same rows, on every device, in the same order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_store import fill, make_samples

from featstore.errors import MemoryCeilingError
from featstore.store import FeatureStore
from featstore.tensors import load_tensor, tensor_batches

DEVICES = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    path: Path = tmp_path_factory.mktemp("tensors") / "s.zarr"
    made = FeatureStore.create(path, make_samples(2000))
    X = np.random.default_rng(0).standard_normal((2000, 40)).astype(np.float32)
    fill(made, "half", X)
    fill(made, "single", X[:, ::-1].copy(), dtype="float32")
    return made


@DEVICES
@pytest.mark.parametrize("names", ["half", ["half", "single"]])
@pytest.mark.parametrize("shuffle", [None, 3])
def test_tensors_are_the_batches(
    store: FeatureStore, device: str, names: str | list[str], shuffle: int | None
) -> None:
    view = store.view(names, split="train")
    wanted = list(view.batches(64, shuffle=shuffle, drop_last=True))
    # All are kept: a batch must not change when the buffers behind it are used again.
    got = list(tensor_batches(view, 64, device=device, shuffle=shuffle, drop_last=True))
    assert len(got) == len(wanted)
    for ours, theirs in zip(got, wanted, strict=True):
        assert ours.device.type == device
        np.testing.assert_array_equal(ours.cpu().numpy(), theirs)


@DEVICES
def test_a_view_is_loaded_onto_a_device(store: FeatureStore, device: str) -> None:
    view = store.view(["half", "single"])
    np.testing.assert_array_equal(load_tensor(view, device=device).cpu().numpy(), view.load())
    single = torch.zeros((2000, 40), dtype=torch.float32, device=device)
    assert load_tensor(store.view("half"), out=single) is single
    np.testing.assert_array_equal(single.cpu().numpy(), store.view("half").load())


def test_a_batch_may_be_written_to(store: FeatureStore) -> None:
    before = store.view("half").load()
    for batch in tensor_batches(store.view("half")):
        batch.zero_()
    np.testing.assert_array_equal(store.view("half").load(), before)


def test_the_ring_is_below_the_ceiling(store: FeatureStore) -> None:
    view = store.view("half", max_memory="8kB")
    assert max(map(len, tensor_batches(view))) * 80 * 3 <= 8000
    with pytest.raises(MemoryCeilingError, match="3 batches of 100 rows"):
        tensor_batches(view, 100)
