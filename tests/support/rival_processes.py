"""What processes do to a store while others do something too."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from small_run import make_run
from small_store import make_samples, make_spec

from featstore.errors import FeatstoreError, InvalidInputError, NotAStoreError, NotSealedError
from featstore.samples import Samples
from featstore.store import FeatureStore
from featstore.writer import FeatureWriter

ROWS, DIM = 2000, 16
SAMPLES: Samples = make_samples(ROWS)


@cache
def values(machine: int = 0) -> NDArray[np.float32]:
    """Return the features as one machine computes them, which differ from another's by rounding."""
    X = np.random.default_rng(11).standard_normal((ROWS, DIM)).astype(np.float32)
    return X * np.float32(1 + machine / 256)


def open_writer(path: Path, name: str, *, weights: str = "0") -> FeatureWriter:
    """Open a feature for writing."""
    spec = make_spec(SAMPLES, dim=DIM, weights=weights)
    return FeatureStore.open(path).writer(name, spec)


def put(writer: FeatureWriter, shard: int, machine: int = 0, *, wait: bool = True) -> None:
    """Put a shard as one machine computes it."""
    rows = writer.layout.shard_range(shard)
    writer.put(shard, values(machine)[rows.start : rows.stop], wait=wait)


def write_all(path: Path, name: str, machine: int, wait: bool) -> None:
    """Write every shard, whoever else does, and seal."""
    writer = open_writer(path, name)
    try:
        for shard in range(writer.layout.n_shards):
            put(writer, shard, machine, wait=wait)
        writer.seal()
    except InvalidInputError as error:
        assert "complete" in str(error) or "missing" in str(error)  # noqa: PT017 - no test


def write_every_other(path: Path, name: str, machine: int, machines: int) -> None:
    """Write the shards of one machine, as ranks divide them."""
    writer = open_writer(path, name)
    for shard in range(machine, writer.layout.n_shards, machines):
        put(writer, shard, wait=False)
    writer.flush()


def write_with_spec(path: Path, name: str, weights: str) -> str:
    """Write a feature made in one's own way; return who was told what."""
    try:
        writer = open_writer(path, name, weights=weights)
        for shard in writer.pending():
            put(writer, shard)
        writer.seal()
    except FeatstoreError as error:
        return type(error).__name__
    return "sealed"


def save_runs(path: Path, seed: int, times: int) -> None:
    """Save a run of one name, again and again."""
    store = FeatureStore.open(path)
    for _ in range(times):
        store.save_run(make_run("r", seed=seed))


def create_store(path: Path) -> str:
    """Create a store, or be told that another has."""
    try:
        FeatureStore.create(path, SAMPLES)
    except NotAStoreError:
        return "another"
    return "created"


def read_until(path: Path, stop: Path) -> int:
    """Read everything there is to read until a file appears; return how often."""
    store = FeatureStore.open(path)
    times = 0
    while not stop.exists():
        times += 1
        for name in store.features:
            seen = zarr.open_array(store.path / "features" / name, mode="r")
            assert seen.shape[0] in (0, ROWS)
            if seen.shape[0]:
                check_values(np.asarray(seen[:]))
            try:
                check_values(store.view(name).array())
            except NotSealedError:
                assert not store.feature(name).sealed or store.view(name) is not None
        if "r" in store.runs:
            scores = store.run("r").predictions.scores
            drawn = (make_run("r", seed=seed).predictions.scores for seed in range(3))
            assert any(np.array_equal(scores, one) for one in drawn)
    return times


def check_values(X: NDArray[np.float16], *, machines: int = 4) -> None:
    """Every shard is, as a whole, what one of the machines computed."""
    shard_rows = 256
    computed = [values(machine).astype(np.float16) for machine in range(machines)]
    for start in range(0, ROWS, shard_rows):
        rows = slice(start, start + shard_rows)
        assert any(np.array_equal(X[rows], one[rows]) for one in computed), f"rows from {start}"


def hold_shard(path: Path, name: str, connection: Connection) -> None:
    """Put a shard's bytes aside and take a claim, tell so, and live on."""
    writer = open_writer(path, name)
    assert writer.claim(1)
    staged = writer.log.stage(0, [b"half"], nbytes=4)
    assert staged is not None
    connection.send(staged.name)
    time.sleep(600)


def together(work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Call a function in as many processes, all beginning at once; return what they returned.

    Raises
    ------
    AssertionError
        If one of them raised; its traceback is on standard error.
    """
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(len(arguments))
    results = context.SimpleQueue()
    processes = [
        context.Process(target=_at_once, args=(barrier, results, i, work, given))
        for i, given in enumerate(arguments)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(processes)
    returned = dict(results.get() for _ in processes)
    return [returned[i] for i in range(len(processes))]


def _at_once(
    barrier: Any, results: Any, i: int, work: Callable[..., Any], given: tuple[Any, ...]
) -> None:
    barrier.wait()
    results.put((i, work(*given)))


def in_fork(work: Callable[[], None]) -> int:
    """Do something in a forked child, and return its exit status: 0 if all went well."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
