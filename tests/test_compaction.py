"""compact: what nobody needs goes, and nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from faulty_os import FaultyDisk, Killed
from kill_writers import tree_digest
from small_store import fill, make_spec

import featstore as fs
from featstore.commits import COMMITS
from featstore.errors import InvalidInputError
from featstore.store import FeatureStore

DIM = 8
X = np.random.default_rng(0).standard_normal((600, DIM)).astype(np.float32)
GRAVE = "0123456789ab.partial"


@pytest.fixture
def store(new_store: Callable[..., FeatureStore]) -> FeatureStore:
    return new_store(600, x=X)


def put(path: Path, nbytes: int = 10) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(nbytes))


def litter(store: FeatureStore) -> dict[str, int]:
    """Leave one of everything; return the bytes of each by place."""
    feature = store.path / "features" / "x"
    put(feature / f".zarr.json.{GRAVE}", 1)
    put(feature / "c" / "0" / f"0.{GRAVE}", 2)
    put(store.path / "features" / f".gone.{GRAVE}" / "c" / "0" / "0", 3)
    put(store.path / "runs" / f".gone.{GRAVE}" / "zarr.json", 4)
    put(feature / "_quarantine" / "1.0", 5)
    put(feature / "_quarantine" / "2.0", 6)
    put(feature / "c" / "3" / "0", 7)
    put(feature / COMMITS / "00000000.json", 8)
    put(store.path.parent / f".{store.path.name}.{GRAVE}" / "zarr.json", 9)
    return {
        f"features/x/.zarr.json.{GRAVE}": 1,
        f"features/x/c/0/0.{GRAVE}": 2,
        f"features/.gone.{GRAVE}": 3,
        f"runs/.gone.{GRAVE}": 4,
        "features/x/_quarantine": 11,
        "features/x/c/3": 7,
        "features/x/_commits": 8,
        f"../.s.zarr.{GRAVE}": 9,
    }


def test_one_of_everything(store: FeatureStore) -> None:
    clean = tree_digest(store.path)
    expected = litter(store)
    dirty = tree_digest(store.path)
    asked = fs.compact(store, dry_run=True)
    assert tree_digest(store.path) == dirty
    done = fs.compact(store)
    assert done == asked
    assert {item.place: item.nbytes for item in done.freed} == expected
    assert (done.files, done.nbytes) == (9, sum(expected.values()))
    assert done.kept == ()
    assert tree_digest(store.path) == clean
    assert [path.name for path in store.path.parent.iterdir()] == ["s.zarr"]
    assert fs.compact(store).freed == ()
    assert fs.verify(store) == []


def test_what_others_put_beside_or_below_stays(store: FeatureStore) -> None:
    strangers = ["notes.txt", "features/x/c/readme", "features/notes/a.txt", "big.partial"]
    for name in strangers:
        put(store.path / name)
    put(store.path.parent / f".other.zarr.{GRAVE}" / "zarr.json")
    assert fs.compact(store, unfinished=True, older_than=0).freed == ()
    assert all((store.path / name).exists() for name in strangers)


@contextmanager
def running_writer(store: FeatureStore) -> Iterator[None]:
    """Let another process hold a feature open, with one shard committed and one claimed."""
    code = (
        "import sys, numpy as np; from small_store import make_spec;"
        "from featstore.store import FeatureStore;"
        "store = FeatureStore.open(sys.argv[1]);"
        "writer = store.writer('z', make_spec(store.samples, dim=8));"
        "writer.put(0, np.ones((256, 8), np.float32));"
        "claimed = writer.claim(1);"
        "aside = writer.folder.stage('_commits/00000002', [b'put aside'], nbytes=9); aside.flush();"
        "print('ready', flush=True); sys.stdin.read()"
    )
    support = str(Path(__file__).parent / "support")
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(store.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": support},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    try:
        yield
    finally:
        child.kill()
        child.communicate()


def test_a_living_writer_is_left_alone(store: FeatureStore) -> None:
    with running_writer(store):
        before = tree_digest(store.path)
        for dry_run in (True, False):
            done = fs.compact(store, unfinished=True, older_than=0, dry_run=dry_run)
            assert done.freed == ()
            assert [(item.place, item.reason) for item in done.kept] == [
                ("features/z", "unfinished, 256 of 600 rows, being written")
            ]
        assert tree_digest(store.path) == before
    # It was killed: what it had not decided for goes, the committed shard stays.
    done = fs.compact(store)
    assert [item.reason for item in done.freed] == ["never committed"]
    assert done.nbytes == len(b"put aside")
    assert [item.reason for item in done.kept] == ["unfinished, 256 of 600 rows"]
    assert store.feature("z").committed_rows == 256
    put(store.path / "features" / "z" / "_quarantine" / "0.0")
    asked = fs.compact(store, unfinished=True, dry_run=True)
    assert "z" in store.features
    done = fs.compact(store, unfinished=True)
    assert done == asked
    assert [(item.place, item.reason) for item in done.freed] == [
        ("features/z", "unfinished feature")
    ]
    assert store.features == ["x"]
    assert fs.verify(store) == []


def test_what_a_dead_writer_had_decided_is_kept(store: FeatureStore, tmp_path: Path) -> None:
    fill(store, "whole", X)
    wanted = tree_digest(store.path / "features" / "whole")
    kept = 0
    for at in range(1, 60, 2):
        disk = FaultyDisk(tmp_path, at=at, failure="kill")
        with suppress(Killed), disk.active():
            writer = store.writer("z", make_spec(store.samples, dim=DIM))
            writer.put(0, X[:256])
        if "z" not in store.features:
            continue
        committed = store.feature("z").committed_rows
        fs.compact(store)
        assert store.feature("z").committed_rows == committed
        kept += committed > 0
        fill(store, "z", X)
        got = tree_digest(store.path / "features" / "z")
        assert {name: digest for name, digest in got.items() if name.startswith("c/")} == {
            name: digest for name, digest in wanted.items() if name.startswith("c/")
        }
        store.delete_feature("z")
    assert kept


def test_unreadable_features_are_left_to_verify(store: FeatureStore) -> None:
    (store.path / "features" / "x" / "zarr.json").write_bytes(b"{")
    put(store.path / "features" / "x" / "_quarantine" / "1.0")
    done = fs.compact(store, unfinished=True, older_than=0)
    assert done.freed == ()
    assert done.kept[0].place == "features/x"
    assert done.kept[0].reason.startswith("cannot be read: ")


def test_interrupted_and_done_again(store: FeatureStore, tmp_path: Path) -> None:
    clean = tree_digest(store.path)
    for at in range(1, 1000, 3):
        litter(store)
        disk = FaultyDisk(tmp_path, at=at, failure="kill")
        with suppress(Killed), disk.active():
            fs.compact(store)
        fs.compact(store)
        assert tree_digest(store.path) == clean
        assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]
        if not disk.failed:
            break
    assert at > 20


def test_age_decides_where_no_lock_tells(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featstore.broom.HAS_FOLDER_DESCRIPTORS", False)
    store.writer("z", make_spec(store.samples, dim=DIM)).put(0, X[:256])
    done = fs.compact(store, unfinished=True)
    assert [item.reason for item in done.kept] == [
        "unfinished, 256 of 600 rows, written not long ago"
    ]
    past = time.time() - 25 * 3600
    for file in (store.path / "features" / "z").rglob("*"):
        os.utime(file, (past, past))
    assert fs.compact(store, unfinished=True, older_than=26 * 3600).freed == ()
    assert [item.place for item in fs.compact(store, unfinished=True).freed] == ["features/z"]
    with pytest.raises(InvalidInputError, match="age"):
        fs.compact(store, older_than=-1)
