"""A store against a plain model of it, through any course of work, kills and removals."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from disk_calls import DiskCalls
from faulty_os import FaultyDisk, Killed
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from numpy.typing import NDArray
from small_run import make_run
from small_store import make_samples, make_spec
from store_life import leftovers

import featstore as fs
from featstore.errors import InvalidInputError, NotSealedError, SpecMismatchError
from featstore.store import FeatureStore
from featstore.verification import verify
from featstore.writer import FeatureWriter

DIM = 8
NAMES = st.sampled_from(["x", "y.1", "z"])
WEIGHTS = st.sampled_from(["0", "1"])
#: Before which of its calls to the disk a piece of work is killed; it may be done before that.
MOMENTS = st.integers(1, 90)


@dataclass
class Feature:
    """What is known of a feature: which shards must be there, and whether it must be whole."""

    weights: str
    committed: set[int] = field(default_factory=set)
    sealed: bool = False


class StoreMachine(RuleBasedStateMachine):
    """Does to a store what people, schedulers and power switches do."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="featstore-")).resolve()
        self.path = self.root / "s.zarr"
        self.features: dict[str, Feature] = {}
        self.runs: dict[str, int] = {}
        self.writers: dict[str, FeatureWriter] = {}
        self._exit = ExitStack()
        self._exit.enter_context(DiskCalls(self.root).active())

    def teardown(self) -> None:
        self.writers.clear()
        if self.path.exists():
            self.check_end()
        self._exit.close()
        shutil.rmtree(self.root)

    # The model

    def values(self, weights: str) -> NDArray[np.float16]:
        """All rows of a feature, as the backbone of these weights computes them."""
        rng = np.random.default_rng([self.rows, int(weights)])
        return rng.standard_normal((self.rows, DIM)).astype(np.float16)

    def block(self, writer: FeatureWriter, shard: int, weights: str) -> NDArray[np.float16]:
        """Rows of one shard."""
        rows = writer.layout.shard_range(shard)
        return self.values(weights)[rows.start : rows.stop]

    @property
    def store(self) -> FeatureStore:
        """The store, opened anew."""
        return FeatureStore.open(self.path)

    @property
    def sealed(self) -> list[str]:
        """Names of the features that are whole."""
        return [name for name, feature in self.features.items() if feature.sealed]

    def open_writer(self, name: str) -> FeatureWriter:
        """Return this process's writer of a feature of the model."""
        if name not in self.writers:
            self.writers[name] = self.new_writer(name, self.features[name].weights)
        return self.writers[name]

    def new_writer(self, name: str, weights: str) -> FeatureWriter:
        """Open a feature for writing."""
        return self.store.writer(name, make_spec(self.samples, dim=DIM, weights=weights))

    def killed(self, work: Any, at: int) -> bool:
        """Do something in a process that is killed before one of its calls; whether it was."""
        self.writers.clear()
        with FaultyDisk(self.root, at=at, failure="kill").active():
            try:
                work()
            except Killed:
                return True
        return False

    # Rules

    @initialize(rows=st.sampled_from([1, 255, 256, 300, 700]))
    def create(self, rows: int) -> None:
        self.rows = rows
        self.samples = make_samples(rows)
        FeatureStore.create(self.path, self.samples)

    @rule(name=NAMES, weights=WEIGHTS)
    def begin(self, name: str, weights: str) -> None:
        known = self.features.get(name)
        if name in self.writers:
            self.writers.pop(name).release()
        if known is not None and known.weights != weights and (known.committed or known.sealed):
            with pytest.raises(SpecMismatchError):
                self.new_writer(name, weights)
            return
        self.writers[name] = self.new_writer(name, weights)
        if known is None or known.weights != weights:
            self.features[name] = Feature(weights)

    @precondition(lambda self: self.features)
    @rule(data=st.data(), wait=st.booleans())
    def put(self, data: st.DataObject, wait: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.features)))
        feature, writer = self.features[name], self.open_writer(name)
        shard = data.draw(st.integers(0, writer.layout.n_shards - 1))
        if feature.sealed:
            with pytest.raises(InvalidInputError, match="complete"):
                writer.put(shard, self.block(writer, shard, feature.weights))
            return
        writer.put(shard, self.block(writer, shard, feature.weights), wait=wait)
        feature.committed.add(shard)
        assert set(range(writer.layout.n_shards)) - set(writer.pending()) == feature.committed

    @precondition(lambda self: self.features)
    @rule(data=st.data(), at=MOMENTS, wait=st.booleans())
    def write_and_be_killed(self, data: st.DataObject, at: int, wait: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.features)))
        feature = self.features[name]
        self.killed(lambda: self.complete(name, wait=wait), at)
        writer = self.open_writer(name)
        done = set(range(writer.layout.n_shards)) - set(writer.pending())
        assert feature.committed <= done
        assert not feature.sealed or writer.sealed
        feature.committed, feature.sealed = done, writer.sealed

    @precondition(lambda self: self.features)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.features)))
        self.complete(name, wait=False)
        self.features[name].sealed = True

    def complete(self, name: str, *, wait: bool) -> None:
        """Write what a feature lacks, and seal it."""
        writer = self.new_writer(name, self.features[name].weights)
        try:
            for shard in writer.pending():
                writer.put(shard, self.block(writer, shard, self.features[name].weights), wait=wait)
            writer.seal()
        finally:
            with suppress(Exception, Killed):
                writer.release()

    @rule(name=NAMES, seed=st.integers(0, 3), at=st.none() | MOMENTS)
    def save_run(self, name: str, seed: int, at: int | None) -> None:
        def save() -> None:
            self.store.save_run(make_run(name, seed=seed))

        if at is None:
            save()
        elif self.killed(save, at):
            if name not in self.store.runs:
                assert name not in self.runs
                return
            drawn = self.store.run(name).config.seed
            assert drawn in {seed, self.runs.get(name, seed)}
            self.runs[name] = drawn
            return
        self.runs[name] = seed

    @precondition(lambda self: self.features)
    @rule(data=st.data(), at=st.none() | MOMENTS)
    def remove(self, data: st.DataObject, at: int | None) -> None:
        name = data.draw(st.sampled_from(sorted(self.features)))
        if at is None:
            self.store.delete_feature(name)
        elif self.killed(lambda: self.store.delete_feature(name), at) and (
            name in self.store.features
        ):
            return
        del self.features[name]
        self.writers.pop(name, None)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def remove_run(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.runs)))
        self.store.delete_run(name)
        del self.runs[name]

    @precondition(lambda self: self.sealed)
    @rule(data=st.data(), at=st.none() | st.integers(1, 400))
    def merge(self, data: st.DataObject, at: int | None) -> None:
        name = data.draw(st.sampled_from(self.sealed))
        twin, out = self.root / "twin.zarr", self.root / "out.zarr"
        shutil.copytree(self.path, twin)

        def merge() -> None:
            fs.merge([self.path, twin], out, features=[name], prefix=["a", "b"], progress=False)

        if at is None or self.killed(merge, at):
            merge()
        X = self.values(self.features[name].weights)
        np.testing.assert_array_equal(fs.open(out).view(name).array(), np.concatenate([X, X]))
        shutil.rmtree(out)
        shutil.rmtree(twin)

    @precondition(lambda self: self.sealed)
    @rule(data=st.data())
    def view(self, data: st.DataObject) -> None:
        names = data.draw(st.lists(st.sampled_from(self.sealed), min_size=1, unique=True))
        expected = np.concatenate([self.values(self.features[n].weights) for n in names], axis=1)
        rows = data.draw(st.lists(st.integers(0, self.rows - 1), min_size=1, max_size=20))
        view = self.store.view(names, rows=np.asarray(rows))
        picked = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=10))
        taken = view.take(np.asarray(picked, np.intp))
        np.testing.assert_array_equal(taken, expected[np.asarray(rows)[picked]])
        batches = list(view.batches(data.draw(st.integers(1, 9))))
        np.testing.assert_array_equal(np.concatenate(batches), expected[rows])

    # What always holds

    @invariant()
    def readers_see_what_is_whole(self) -> None:
        if not self.path.exists():
            return
        store = self.store
        assert store.features == sorted(self.features)
        assert store.runs == sorted(self.runs)
        for name, feature in self.features.items():
            stock = zarr.open_array(self.path / "features" / name, mode="r")
            if not feature.sealed:
                assert stock.shape == (0, DIM)
                with pytest.raises(NotSealedError):
                    store.view(name)
                continue
            expected = self.values(feature.weights)
            np.testing.assert_array_equal(stock[:], expected)
            np.testing.assert_array_equal(store.view(name).array(), expected)
        for name, seed in self.runs.items():
            assert store.run(name).config.seed == seed

    def check_end(self) -> None:
        """Everything can be completed, nothing temporary stays, and all is as it was promised."""
        for name in self.features:
            self.complete(name, wait=True)
        store = self.store
        store.folder.sweep()
        assert not leftovers(self.path)
        places = {finding.place.split("/")[0] for finding in verify(store)}
        assert places <= {"runs"}, places  # runs here are of rows that small stores lack
        for name, feature in self.features.items():
            np.testing.assert_array_equal(store.view(name).array(), self.values(feature.weights))


PROFILE = settings(
    deadline=None,
    stateful_step_count=14,
    max_examples=10,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    print_blob=True,
)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_any_course_of_work() -> None:
    run_state_machine_as_test(StoreMachine, settings=PROFILE)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_any_long_course_of_work() -> None:
    longer = settings(
        PROFILE, max_examples=400, stateful_step_count=40, derandomize=False, database=None
    )
    run_state_machine_as_test(StoreMachine, settings=longer)
