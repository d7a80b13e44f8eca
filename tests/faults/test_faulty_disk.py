"""A disk that fails at any single call: one clear error, nothing unfinished to be seen, no loss."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from disk_calls import CHANGING, LOOKING, Call, DiskCalls
from faulty_os import GROWING, Failure, FaultyDisk, Killed
from kill_writers import tree_digest
from small_store import make_samples, make_spec
from store_life import DIM, check_end, check_readers, leftovers, live, prepare, values

from featstore.errors import StorageError
from featstore.store import FeatureStore

pytestmark = [
    # zarr-python drops what it had begun when one of its writes fails.
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

#: How the disk fails, and at which calls.
FAILURES: list[tuple[Failure, frozenset[str]]] = [
    ("ENOSPC", GROWING),
    ("full", GROWING),
    ("EIO", CHANGING | LOOKING),
    ("broken", CHANGING | LOOKING),
    ("short", frozenset({"write"})),
    ("kill", CHANGING),
]


class World:
    """A prepared store, copies of it, and what it looks like after an undisturbed life."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._n_copies = 0
        prepare(root / "prepared" / "s.zarr")
        undisturbed = self.copy()
        live(FeatureStore.open(undisturbed))
        self.wanted = tree_digest(undisturbed)

    def copy(self) -> Path:
        """Return the path of a new copy of the store, in a folder of its own."""
        self._n_copies += 1
        folder = self._root / str(self._n_copies)
        shutil.copytree(self._root / "prepared", folder)
        return folder / "s.zarr"

    def disturb(self, disk: Callable[[Path], FaultyDisk], *, wait: bool) -> FaultyDisk:
        """Live on a faulty disk, check what is left, and live again on a sound one."""
        path = self.copy()
        faulty = disk(path.parent)
        store = FeatureStore.open(path)
        assert len(store.samples) > 0  # read before the disk fails
        advice = "run the same command again"
        with faulty.active():
            try:
                live(store, wait=wait)
            except StorageError as error:
                advice = str(error)
            except Killed:
                pass
        assert "run the same command again" in advice
        with DiskCalls(path.parent).active():
            check_readers(path)
            live(FeatureStore.open(path))
            check_end(path, self.wanted)
        shutil.rmtree(path.parent)
        return faulty

    def disturb_every(
        self, failure: Failure, kinds: frozenset[str], *, wait: bool, sample: int | None = None
    ) -> None:
        """Let every call fail in turn, or a random sample of them."""
        calls = self.disturb(lambda root: FaultyDisk(root, kinds=kinds), wait=wait).calls
        chosen = range(1, calls + 1)
        if sample is not None:
            chosen = sorted(random.Random(f"{failure} {wait}").sample(chosen, sample))  # type: ignore[assignment]
        for at in chosen:
            faulty = self.disturb(
                lambda root, at=at: FaultyDisk(root, at=at, failure=failure, kinds=kinds),  # type: ignore[misc]
                wait=wait,
            )
            assert faulty.failed is not None or not wait


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize(("failure", "kinds"), FAILURES)
def test_a_call_that_fails(
    world: World, failure: Failure, kinds: frozenset[str], wait: bool
) -> None:
    world.disturb_every(failure, kinds, wait=wait, sample=3)


@pytest.mark.slow
@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize(("failure", "kinds"), FAILURES)
def test_every_call_that_fails(
    world: World, failure: Failure, kinds: frozenset[str], wait: bool
) -> None:
    world.disturb_every(failure, kinds, wait=wait)


@pytest.mark.parametrize("failure", ["EIO", "full", "kill"])
def test_creating_a_store_on_a_faulty_disk(tmp_path: Path, failure: Failure) -> None:
    counting = FaultyDisk(tmp_path)
    with counting.active():
        FeatureStore.create(tmp_path / "a" / "s.zarr", make_samples(50))
    wanted = tree_digest(tmp_path / "a" / "s.zarr")
    chosen = random.Random(failure).sample(range(1, counting.calls), 6)
    for at in [*chosen, counting.calls]:
        root = tmp_path / str(at)
        root.mkdir()
        path = root / "b" / "s.zarr"
        with suppress(StorageError, Killed), FaultyDisk(root, at=at, failure=failure).active():
            FeatureStore.create(path, make_samples(50))
        if path.exists():
            assert tree_digest(path) == wanted
        else:
            FeatureStore.create(path, make_samples(50))
        FeatureStore.open(path).folder.sweep()
        assert tree_digest(path) == wanted
        assert not leftovers(path)


@pytest.mark.parametrize("kind", ["write", "fsync", "create"])
def test_a_full_disk_is_not_made_fuller(world: World, kind: str) -> None:
    """Bytes that could not be committed give their space back at once, not at the next start."""
    store = FeatureStore.open(world.copy())
    writer = store.writer("x", make_spec(store.samples, dim=DIM))
    commits = store.path / "features" / "x" / "_commits"
    writer.put(1, values()[256:512])
    before = sorted(commits.iterdir())
    # The second file is the marker, after the bytes.
    full = FaultyDisk(store.path, at=2 if kind == "create" else 1, failure="ENOSPC", kinds={kind})
    with full.active(), pytest.raises(StorageError, match="disk is full: free some space"):
        writer.put(0, values()[:256])
    assert sorted(commits.iterdir()) == before
    writer.put(0, values()[:256])
    assert 0 not in writer.pending()


class Without(DiskCalls):
    """A file system that lacks something: calls of a kind answer with an error code."""

    def __init__(self, root: Path, kinds: set[str], code: int) -> None:
        super().__init__(root)
        self.kinds = kinds
        self.code = code
        self.refused = 0

    def on_call(self, call: Call, perform: Callable[[], object]) -> object:  # type: ignore[override]
        if call.kind in self.kinds:
            self.refused += 1
            raise OSError(self.code, os.strerror(self.code), call.path)
        return perform()


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_a_file_system_without_hard_links(world: World, code: int) -> None:
    path = world.copy()
    without = Without(path.parent, {"link"}, code)
    with without.active():
        live(FeatureStore.open(path))
    assert without.refused > 0
    check_end(path, world.wanted)


def test_a_file_system_without_hard_links_and_special_renames(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.copy()
    without = Without(path.parent, {"link"}, errno.EPERM)
    with without.active():
        for module in ("local_folder", "scratch_folder"):
            monkeypatch.setattr(f"featstore.{module}.rename", lambda *args, **options: False)
        live(FeatureStore.open(path))
        monkeypatch.undo()
    check_end(path, world.wanted)


def test_a_file_system_without_locks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    path = world.copy()
    monkeypatch.setattr("fcntl.flock", flock)
    live(FeatureStore.open(path))
    check_end(path, world.wanted)


@pytest.mark.parametrize("step", [-86400.0, 3.2e9])
def test_clocks_that_jump(world: World, monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    path = world.copy()
    now = [1.8e9]

    def jumping() -> float:
        now[0] = abs(now[0] + step) % 4e9
        return now[0]

    monkeypatch.setattr("time.time", jumping)
    monkeypatch.setattr("time.time_ns", lambda: int(jumping() * 1e9))
    killed = FaultyDisk(path.parent, at=60, failure="kill")
    with killed.active(), pytest.raises(Killed):
        live(FeatureStore.open(path))
    live(FeatureStore.open(path))
    check_end(path, world.wanted)
