"""The promises of a folder, kept on a disk and in a bucket alike."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from featstore.errors import InvalidInputError, StorageError
from featstore.folder import Folder
from featstore.location import open_folder
from featstore.object_folder import ObjectFolder
from featstore.sums import SUMS, parse

pytest.importorskip("obstore")

NAMES = ["plain", "my photos/ü ~#?%41&+'()[]{}", "c/3/0"]


@pytest.fixture(params=["disk", "bucket"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """Return a folder that does not exist yet, with a name that needs quoting."""
    if request.param == "disk":
        return open_folder(tmp_path / "stores" / "a b ü.zarr")
    return open_folder(f"{request.getfixturevalue('bucket')}/stores/a b ü.zarr")


@pytest.fixture
def remote(bucket: str) -> ObjectFolder:
    return ObjectFolder.at(f"{bucket}/x.zarr")


def test_what_is_written_is_read(folder: Folder) -> None:
    assert folder.name == "a b ü.zarr"
    for name in NAMES:
        folder.write(name, [b"0123", memoryview(b"4567"), b""])
        assert folder.read(name) == b"01234567"
        assert folder.read(name, 2, 3) == b"234"
        assert folder.read(name, 6) == folder.read(name, 6, 9) == b"67"
        assert folder.read(name, 8) == folder.read(name, 99, 1) == b""
        assert folder.size(name) == 8
    assert folder.files() == dict.fromkeys(sorted(NAMES), 8)
    folder.write("plain", [b"other"])
    assert folder.read("plain") == b"other"
    folder.delete("plain")
    folder.delete("plain")
    assert folder.size("plain") is None
    assert folder.modified("plain") is None
    with pytest.raises(FileNotFoundError):
        folder.read("plain")


def test_the_time_of_writing(folder: Folder) -> None:
    folder.write("x", [b""])
    written = folder.modified("x")
    assert written is not None
    assert abs(written - time.time()) < 60


def test_names_and_groups(folder: Folder) -> None:
    assert folder.names("below") == folder.groups() == []
    assert folder.files() == {}
    for name in ("b/zarr.json", "a/zarr.json", "a/c/0", "later/x", "zarr.json", "a.b/zarr.json"):
        folder.write(name, [b"{}"])
    assert folder.groups() == ["a", "a.b", "b"]
    assert folder.names("a") == ["c", "zarr.json"]
    assert folder.child("a").files() == {"c/0": 2, "zarr.json": 2}


def test_only_one_creates(folder: Folder) -> None:
    def create(number: int) -> bool:
        return folder.create("_commits/00000000.json", [b"%d" % number])

    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(create, range(8)))
    assert sum(won) == 1
    assert folder.read("_commits/00000000.json") == b"%d" % won.index(True)


def test_staged_bytes_take_their_name(folder: Folder) -> None:
    staged = folder.stage("_commits/00000003", [b"new"], nbytes=3)
    other = folder.stage("_commits/00000003", [b"newer"], nbytes=5)
    assert staged.name != other.name
    assert not folder.is_abandoned(staged.name)
    for held in (staged, other):
        held.flush()
        folder.move(held.name, "c/3/0")
        folder.flush_names(held.name, "c/3/0")
        held.close()
    assert folder.files() == {"c/3/0": 5}
    with pytest.raises(OSError):
        folder.move(staged.name, "c/4/0")
    claim = folder.claim("_commits/00000003.claim")
    assert claim is not None
    claim.release(done=True)
    assert list(folder.files()) == ["c/3/0"]


def test_lines_are_appended(folder: Folder) -> None:
    folder.write("zarr.json", [b"{}"])
    folder.append("history.jsonl", b"one\n")
    folder.append("history.jsonl", b"two\n")
    assert folder.read("history.jsonl") == b"one\ntwo\n"


def test_a_folder_starts_once(folder: Folder) -> None:
    folder.write("c/0/0", [b"left behind by a removal"])
    assert folder.start({"zarr.json": b"1", "other": b""})
    assert folder.files() == {"other": 0, "zarr.json": 1}
    assert not folder.start({"zarr.json": b"2"})
    assert folder.read("zarr.json") == b"1"
    assert folder.remove(unless=lambda: True) is False
    assert folder.remove()
    assert folder.files() == {}
    assert folder.start({"zarr.json": b"3"})


def test_a_filled_folder(folder: Folder) -> None:
    def fill(content: bytes, **options: bool) -> None:
        with folder.filled(**options) as scratch:
            (scratch / "sub").mkdir()
            (scratch / "sub" / "ü").write_bytes(content)
            (scratch / "zarr.json").write_bytes(b"{}")

    assert folder.is_free()
    fill(b"1")
    assert set(folder.files()) == {SUMS, "sub/ü", "zarr.json"}
    for name, digest in parse(folder.read(SUMS)).items():
        assert hashlib.sha256(folder.read(name)).hexdigest() == digest
    assert not folder.is_free()
    with pytest.raises(StorageError):
        fill(b"2")
    assert folder.read("sub/ü") == b"1"
    fill(b"2", replace=True)
    assert folder.read("sub/ü") == b"2"
    with pytest.raises(ZeroDivisionError), folder.filled(replace=True):
        _ = 1 / 0
    assert folder.read("sub/ü") == b"2"


def test_a_half_made_folder(remote: ObjectFolder) -> None:
    """Only who makes the same may go on; whoever replaces it needs not ask."""
    remote.write(SUMS, [b"of something else"])
    remote.write("samples/x", [b""])
    assert remote.is_free()

    def fill(**options: bool) -> None:
        with remote.filled(**options) as scratch:
            (scratch / "zarr.json").write_bytes(b"{}")

    with pytest.raises(StorageError, match="half-made"):
        fill()
    fill(replace=True)
    assert remote.files().keys() == {SUMS, "zarr.json"}
    remote.delete("zarr.json")
    fill()
    assert remote.read("zarr.json") == b"{}"


def test_large_objects_go_in_parts(remote: ObjectFolder) -> None:
    part = memoryview(bytes(range(256)) * (10 << 12))  # 10 MiB
    remote.write("large", [part, b"", b"end"])
    assert remote.size("large") == len(part) + 3
    assert remote.read("large") == bytes(part) + b"end"


def test_a_whole_bucket_can_be_a_folder(bucket: str) -> None:
    folder = open_folder(f"{bucket}/")
    assert folder.name == bucket.rpartition("/")[2]
    folder.write("a/zarr.json", [b"{}"])
    assert folder.groups() == ["a"]
    assert folder.files() == {"a/zarr.json": 2}
    assert str(folder.child("a")) == f"{bucket}/a"


def test_folders_can_be_pickled(remote: ObjectFolder) -> None:
    remote.write("x", [b"1"])
    again = pickle.loads(pickle.dumps(remote))
    assert str(again) == str(remote)
    assert again.read("x") == b"1"


_FORK = """
import os, sys
from featstore.location import open_folder
folder = open_folder(sys.argv[1])
if sys.argv[2] == "used":
    folder.write("x", [b"1"])
child = os.fork()
if child == 0:
    try:
        folder.write("y", [b"2"])
    except OSError as error:
        assert "spawn" in str(error), error
        os._exit(3)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.parametrize(("before", "status"), [("untouched", "0"), ("used", "3")])
def test_forked_processes_work_or_say_why_not(bucket: str, before: str, status: str) -> None:
    """obstore's threads do not survive a fork; without the check, the child would hang."""
    command = [sys.executable, "-c", _FORK, f"{bucket}/x", before]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == status


def test_file_urls_are_paths(tmp_path: Path) -> None:
    folder = open_folder(f"file://{tmp_path}/a%20b")
    assert folder.local == tmp_path / "a b"


@pytest.mark.parametrize("url", ["ftp://host/x", "s3:///x", "s3://bucket/a/../b"])
def test_impossible_urls(url: str) -> None:
    with pytest.raises(InvalidInputError):
        open_folder(url)


def test_unknown_options() -> None:
    with pytest.raises(InvalidInputError, match="nonsense"):
        open_folder("s3://bucket/x", nonsense=1).size("x")
