"""A process that dies between any two requests leaves a store that can be gone on with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from failing_client import Crash, FailingClient
from small_store import make_spec

from featstore.errors import FeatureNotFoundError, NotAStoreError, NotSealedError, StorageError
from featstore.location import open_folder
from featstore.object_client import ObjectClient
from featstore.samples import Samples
from featstore.store import FeatureStore
from featstore.writer import FeatureWriter

pytest.importorskip("obstore")

ROWS, DIM = 300, 8
URL = "s3://bucket/x.zarr"
VALUES = np.random.default_rng(0).standard_normal((ROWS, DIM)).astype(np.float32)
SAMPLES = Samples(np.arange(ROWS).astype(str), np.full(ROWS, "train"))


class Service:
    """Objects that outlive the processes that write them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.clear({})

    def clear(self, files: dict[str, bytes]) -> None:
        """Have these objects and no others."""
        from obstore.store import MemoryStore

        self._objects = MemoryStore()
        for name, content in files.items():
            self._objects.put(f"x.zarr/{name}", content)
        self.connect()

    def connect(self, **failure: Any) -> FailingClient:
        """Let a new process begin; the folders that it opens have this client."""
        client = FailingClient(self._objects, **failure)
        self._monkeypatch.setattr(ObjectClient, "_connect", lambda connection, sends: client)
        return client

    def files(self) -> dict[str, bytes]:
        """Return every object's bytes, by name."""
        self.connect()
        folder = open_folder(URL)
        return {name: folder.read(name) for name in folder.files()}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    return Service(monkeypatch)


def create() -> None:
    FeatureStore.create(URL, SAMPLES)


def write() -> None:
    """Write the feature, or what is missing of it."""
    spec = make_spec(SAMPLES, dim=DIM)
    writer = FeatureWriter(open_folder(URL).child("features/x"), spec, ROWS)
    for shard in writer.pending():
        rows = writer.layout.shard_range(shard)
        writer.put(shard, VALUES[rows.start : rows.stop])
    writer.seal()


def save() -> None:
    """Save what a run is to a folder: files that replace others."""
    with open_folder(URL).child("runs/x").filled(replace=True) as scratch:
        (scratch / "column").mkdir()
        (scratch / "column" / "zarr.json").write_text("{}")
        (scratch / "column" / "0").write_bytes(b"new")
        (scratch / "zarr.json").write_text('{"new": 1}')


def save_older() -> None:
    with open_folder(URL).child("runs/x").filled() as scratch:
        (scratch / "another column").write_bytes(b"old")
        (scratch / "zarr.json").write_text('{"old": 1}')


def remove() -> None:
    open_folder(URL).remove()


def remove_and_write() -> None:
    """Remove the feature and begin again."""
    open_folder(URL).child("features/x").remove()
    write()


def do(work: list[Callable[[], None]]) -> None:
    for step in work:
        step()


def check_readers() -> None:
    """Nobody sees anything that is not whole."""
    folder = open_folder(URL)
    if folder.size("zarr.json") is not None:
        assert {"samples/zarr.json", "features/zarr.json"} <= set(folder.files())
        with suppress(NotSealedError, FeatureNotFoundError):
            info = FeatureStore.open(URL).feature("x")
            if info.sealed:
                seen = np.empty((ROWS, DIM), np.float16)
                info.rows().read(0, seen)
                np.testing.assert_array_equal(seen, VALUES.astype(np.float16))
    run = folder.child("runs/x")
    if run.size("zarr.json") is not None and "new" in str(run.read("zarr.json")):
        assert run.read("column/0") == b"new"


@pytest.mark.parametrize(
    ("before", "work"),
    [
        ([], [create]),
        ([create], [write]),
        ([create, write], [remove_and_write]),
        ([create, save_older], [save]),
        ([create, write, save_older], [remove, create]),
    ],
    ids=["create", "write", "write again", "replace", "remove"],
)
def test_every_crash_can_be_gone_on_from(
    service: Service, before: list[Callable[[], None]], work: list[Callable[[], None]]
) -> None:
    """Dying after the answer to a request is dying before the next one."""
    do(before)
    prepared = service.files()
    counted = service.connect()
    do(work)
    total = counted.count
    expected = service.files()
    assert total > 5
    for k in range(total):
        service.clear(prepared)
        service.connect(fails_at=k)
        with pytest.raises(Crash):
            do(work)
        service.connect()
        check_readers()
        for step in work:
            # The store may be there already: then the last request was the one that made it.
            with suppress(NotAStoreError):
                step()
        check_readers()
        assert service.files() == expected, f"died at request {k} of {total}"


def test_a_writer_goes_on_after_an_error(service: Service) -> None:
    """Whatever request the service refuses once, no shard is lost and none is half-made."""
    from obstore.exceptions import GenericError

    create()
    prepared = service.files()
    counted = service.connect()
    write()
    total = counted.count
    expected = service.files()
    for k in range(total):
        service.clear(prepared)
        service.connect(fails_at=k, error=GenericError)
        with pytest.raises(StorageError, match=f"at request {k}"):
            write()
        check_readers()
        write()  # by the same process
        assert service.files() == expected, f"refused request {k} of {total}"
