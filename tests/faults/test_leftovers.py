"""What dead writers leave is swept; what belongs to the living, or to other tools, is not."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from disk_calls import Call, DiskCalls
from faulty_os import FaultyDisk, Killed
from interruption import Interruption
from small_run import make_run
from small_store import fill
from store_life import leftovers, prepare, taxonomy, values

from featstore.durable import Aside
from featstore.leftovers import remove_tree
from featstore.store import FeatureStore

T = TypeVar("T")
_open = os.open


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return prepare(tmp_path / "s.zarr")


def test_a_folder_that_is_being_filled_is_not_swept(store: FeatureStore) -> None:
    with store.folder.child("runs/other").filled() as scratch:
        # As zarr-python names its files on the way, and as we do.
        for name in ("zarr.0123456789abcdef0123456789abcdef.partial", "x.0123456789ab.partial"):
            (scratch / name).write_bytes(b"half")
        store.save_run(make_run("r", seed=3))
        store.folder.sweep()
        assert len(list(scratch.iterdir())) == 2
        shutil.rmtree(scratch)
        scratch.mkdir()
    assert [entry.name for entry in (store.path / "runs").iterdir() if entry.name[0] == "."] == []


def test_the_files_of_other_tools_are_not_swept(store: FeatureStore) -> None:
    theirs = store.path / "features" / "old" / "note.0123456789abcdef0123456789abcdef.partial"
    theirs.write_bytes(b"half")
    dead = theirs.with_name("zarr.json.0123456789ab.partial")
    dead.write_bytes(b"half")
    alive = Aside(str(theirs.with_name("zarr.json")), [b"half"])
    store.folder.sweep()
    assert theirs.exists()
    assert not dead.exists()
    assert Path(alive.name).exists()
    alive.discard()


class SlowSweeper(DiskCalls):
    """Another process, which takes a new file for a dead writer's before its writer locks it.

    It has it locked by then, and deletes it, by its name, when the writer has begun once more.
    """

    def __init__(self, root: Path, kind: str) -> None:
        super().__init__(root)
        self.kind = kind
        self.taken: list[tuple[Path, int]] = []

    def on_call(self, call: Call, perform: Callable[[], T]) -> T:
        result = perform()
        if call.kind == self.kind and re.search(r"\.(partial|staged)$", call.path):
            if not self.taken:
                descriptor = _open(call.path, os.O_RDONLY)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.taken.append((Path(call.path), descriptor))
            elif len(self.taken) == 1:
                path, descriptor = self.taken[0]
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                os.close(descriptor)
                self.taken.append((Path(call.path), -1))
        return result


@pytest.mark.parametrize("kind", ["mkdir", "create"])
def test_swept_before_it_was_locked(store: FeatureStore, kind: str) -> None:
    sweeper = SlowSweeper(store.path, kind)
    with sweeper.active():
        fill(store, "new", values())
    assert len(sweeper.taken) == 2
    np.testing.assert_array_equal(store.view("new").array(), values().astype(np.float16))
    assert not leftovers(store.path)


def test_a_folder_is_removed_while_somebody_writes_into_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"

    def happens() -> None:
        if (folder / "c").exists():
            (folder / "c" / "late").touch()
        elif folder.exists():
            (folder / "late").touch()

    at = 1
    while True:
        (folder / "c" / "0").mkdir(parents=True)
        (folder / "c" / "0" / "0").touch()
        interruption = Interruption(tmp_path, happens, at=at)
        with interruption.active():
            remove_tree(folder)
        assert not folder.exists()
        if interruption.interrupted is None:
            break
        at += 1
    assert at > 10


@pytest.mark.parametrize("kind", ["features", "runs", "taxonomies"])
def test_a_removal_that_was_killed_is_finished_by_the_next_of_its_kind(
    store: FeatureStore, kind: str
) -> None:
    name = {"features": "old", "runs": "r", "taxonomies": "t"}[kind]
    remove = {
        "features": store.delete_feature,
        "runs": store.delete_run,
        "taxonomies": store.delete_taxonomy,
    }[kind]
    with FaultyDisk(store.path, at=5, failure="kill").active(), pytest.raises(Killed):
        remove(name)
    assert leftovers(store.path)
    assert name not in store.features + store.runs + store.taxonomies
    begin: dict[str, Callable[[], object]] = {
        "features": lambda: store.feature_folder("new").start({"zarr.json": b"{}"}),
        "runs": lambda: store.save_run(make_run("new", seed=0)),
        "taxonomies": lambda: store.save_taxonomy("new", taxonomy("b")),
    }
    with DiskCalls(store.path).active():
        begin[kind]()
    assert not leftovers(store.path)
