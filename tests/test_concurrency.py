"""Several processes and threads on one store: they share the work, or one wins; never both half."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kill_writers import tree_digest
from rival_processes import (
    ROWS,
    SAMPLES,
    check_values,
    create_store,
    hold_shard,
    in_fork,
    open_writer,
    put,
    read_until,
    save_runs,
    together,
    values,
    write_all,
    write_every_other,
    write_with_spec,
)
from small_run import make_run
from small_store import fill
from store_life import leftovers

from featstore.errors import InvalidInputError, SpecMismatchError, StorageError
from featstore.store import FeatureStore
from featstore.verification import verify
from featstore.writer import FeatureWriter

#: From Python 3.12 on; the children begin no work that the parent's threads were at.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore.create(tmp_path / "s.zarr", SAMPLES)


@pytest.mark.parametrize("machines", [2, 4])
@pytest.mark.parametrize("wait", [True, False])
def test_the_same_feature_begun_at_the_same_instant(
    store: FeatureStore, machines: int, wait: bool
) -> None:
    together(write_all, [(store.path, "x", machine, wait) for machine in range(machines)])
    open_writer(store.path, "x").seal()
    check_values(store.view("x").array())
    assert not verify(store)
    open_writer(store.path, "x")
    assert not leftovers(store.path)


def test_machines_that_divide_the_shards(store: FeatureStore, tmp_path: Path) -> None:
    together(write_every_other, [(store.path, "x", machine, 3) for machine in range(3)])
    writer = open_writer(store.path, "x")
    assert writer.pending() == []
    writer.seal()
    alone = FeatureStore.create(tmp_path / "alone.zarr", SAMPLES)
    fill(alone, "x", values())
    assert tree_digest(store.path) == tree_digest(alone.path)


def test_two_specs_at_once(store: FeatureStore) -> None:
    for i in range(3):
        told = Counter(
            together(write_with_spec, [(store.path, f"x{i}", "0"), (store.path, f"x{i}", "1")])
        )
        assert told["sealed"] == 1, told
        assert set(told) <= {"sealed", "SpecMismatchError", "StorageError"}
        check_values(store.view(f"x{i}").array())


def test_another_spec_has_to_wait_until_the_first_gives_up(store: FeatureStore) -> None:
    first = open_writer(store.path, "x")
    with pytest.raises(SpecMismatchError):
        open_writer(store.path, "x", weights="1")
    assert in_fork(first.release) == 0  # a child's claim is not its parent's
    with pytest.raises(SpecMismatchError):
        open_writer(store.path, "x", weights="1")
    first.release()
    open_writer(store.path, "x", weights="1")
    with pytest.raises(StorageError, match="was removed by another process"):
        put(first, 0)


def test_readers_while_writers_work(store: FeatureStore, tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    store.save_run(make_run("r", seed=0))
    arguments: list[tuple[Any, ...]] = [(read_until, store.path, stop)]
    arguments += [(_write_features, store.path, machine, stop) for machine in range(2)]
    arguments += [(save_runs, store.path, 2, 10)]
    times = together(_call, arguments)[0]
    assert times > 1
    assert store.features == [f"x{i}" for i in range(6)]


def _call(work: Any, *arguments: Any) -> Any:
    return work(*arguments)


def _write_features(path: Path, machine: int, stop: Path) -> None:
    try:
        for i in range(6):
            write_all(path, f"x{i}", machine, False)
    finally:
        stop.touch()


def test_runs_of_one_name_saved_at_once(store: FeatureStore) -> None:
    together(save_runs, [(store.path, seed, 5) for seed in range(3)])
    assert store.runs == ["r"]
    assert not verify(store)
    assert not leftovers(store.path)


def test_a_store_created_by_two_processes(tmp_path: Path) -> None:
    for i in range(3):
        told = together(create_store, [(tmp_path / f"{i}.zarr",), (tmp_path / f"{i}.zarr",)])
        assert sorted(told) == ["another", "created"]
        assert len(FeatureStore.open(tmp_path / f"{i}.zarr").samples) == ROWS
    assert not leftovers(tmp_path / "0.zarr")


def test_bytes_and_claims_last_as_long_as_their_process(store: FeatureStore) -> None:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe()
    process = context.Process(target=hold_shard, args=(store.path, "x", sender))
    process.start()
    try:
        staged = store.feature_folder("x").local / receiver.recv()
        writer = open_writer(store.path, "x")
        assert staged.exists()
        assert not writer.claim(1)
    finally:
        process.kill()
        process.join()
    assert writer.claim(1)
    open_writer(store.path, "x")
    assert not staged.exists()


def test_the_bytes_of_a_dead_writer_are_swept_whoever_has_its_number(store: FeatureStore) -> None:
    writer = open_writer(store.path, "x")
    commits = store.path / "features" / "x" / "_commits"
    put(writer, 0)
    dead = commits / "00000001.0123456789ab.staged"
    dead.write_bytes(b"half")
    staged = writer.log.stage(2, [b"half"], nbytes=4)  # by this very process, which is alive
    assert staged is not None
    open_writer(store.path, "x")
    assert not dead.exists()
    assert (store.path / "features" / "x" / staged.name).exists()


def test_removed_while_it_is_written(store: FeatureStore) -> None:
    writer = open_writer(store.path, "x")
    put(writer, 0)
    store.delete_feature("x")
    for _ in range(2):
        with pytest.raises(StorageError, match="was removed by another process"):
            put(writer, 1)
    with pytest.raises(StorageError, match="was removed by another process"):
        writer.seal()
    assert not (store.path / "features" / "x").exists()


class ShardWriting:
    """A data set of torch whose items are shards, written where they are loaded."""

    def __init__(self, writer: FeatureWriter) -> None:
        self.writer = writer

    def __len__(self) -> int:
        return self.writer.layout.n_shards

    def __getitem__(self, shard: int) -> int:
        put(self.writer, shard, wait=False)
        self.writer.flush()
        return shard


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_of_a_data_loader_write_their_shards(store: FeatureStore, method: str) -> None:
    data = pytest.importorskip("torch.utils.data")
    writer = open_writer(store.path, "x")
    put(writer, 0, wait=False)  # the parent's threads are at work when it forks
    loader = data.DataLoader(
        ShardWriting(writer),
        batch_size=None,
        num_workers=1 if method == "spawn" else 2,  # a fresh process takes seconds to import torch
        multiprocessing_context=method,
    )
    assert list(loader) == list(range(writer.layout.n_shards))
    writer.seal()
    np.testing.assert_array_equal(store.view("x").array(), values().astype(np.float16))
    open_writer(store.path, "x")
    assert not leftovers(store.path)


def test_a_child_forked_while_the_parent_writes(store: FeatureStore) -> None:
    writer = open_writer(store.path, "x")
    n_shards = writer.layout.n_shards
    assert writer.claim(n_shards - 1)
    for shard in range(4):
        put(writer, shard, wait=False)

    def work() -> None:
        assert not writer.claim(n_shards - 1), "the claim is the parent's"
        for shard in range(4, n_shards - 1):
            put(writer, shard, wait=False)
        writer.flush()

    assert in_fork(work) == 0
    writer.flush()
    assert writer.pending() == [n_shards - 1]
    put(writer, n_shards - 1)
    writer.seal()
    np.testing.assert_array_equal(store.view("x").array(), values().astype(np.float16))


def test_a_child_reads_what_the_parent_has_mapped(store: FeatureStore) -> None:
    fill(store, "x", values())
    view = store.view("x")
    picked = np.arange(ROWS)[::-1]
    expected = values().astype(np.float16)[picked]
    np.testing.assert_array_equal(view.take(picked), expected)

    def work() -> None:
        np.testing.assert_array_equal(view.take(picked), expected)
        np.testing.assert_array_equal(np.concatenate(list(view.batches(99))), expected[::-1])

    assert in_fork(work) == 0


@pytest.mark.parametrize("wait", [True, False])
def test_one_writer_in_several_threads(store: FeatureStore, wait: bool) -> None:
    writer = open_writer(store.path, "x")
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda shard: put(writer, shard, wait=wait), range(writer.layout.n_shards)))
    writer.seal()
    np.testing.assert_array_equal(store.view("x").array(), values().astype(np.float16))
    assert not verify(store)


def test_each_thread_gets_its_own_error(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_writer(store.path, "x")
    real, barrier = writer.log.add, threading.Barrier(2)

    def add(commit: Any, staged: Any) -> None:
        barrier.wait()
        if commit.shard == 1:
            staged.close()
            raise StorageError("the disk refuses shard 1")
        real(commit, staged)

    monkeypatch.setattr(writer.log, "add", add)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(put, writer, shard) for shard in range(2)]
    assert futures[0].exception() is None
    assert str(futures[1].exception()) == "the disk refuses shard 1"


def test_an_error_in_the_background_is_told_at_the_next_call(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_writer(store.path, "x")

    def add(commit: Any, staged: Any) -> None:
        staged.close()
        raise StorageError("the disk refuses")

    with monkeypatch.context() as patch:
        patch.setattr(writer.log, "add", add)
        put(writer, 0, wait=False)
        with pytest.raises(StorageError, match="the disk refuses"):
            writer.flush()
    writer.flush()
    assert 0 in writer.pending()


def test_a_pickled_writer_goes_on(store: FeatureStore) -> None:
    writer = open_writer(store.path, "x")
    put(writer, 0, wait=False)
    twin: FeatureWriter = pickle.loads(pickle.dumps(writer))
    for shard in range(1, twin.layout.n_shards):
        put(twin, shard)
    writer.seal()
    with pytest.raises(InvalidInputError, match="is complete"):
        put(twin, 0)
    np.testing.assert_array_equal(store.view("x").array(), values().astype(np.float16))
