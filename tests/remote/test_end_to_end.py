"""From photos to probes in a bucket, as on a disk."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from gateway import Fate, Gateway, Request
from small_store import make_samples, make_spec

import featstore as fs
from featstore.cli.main import group
from featstore.errors import StorageError
from featstore.history import history
from featstore.samples import Samples
from featstore.store import FeatureStore
from featstore.writer import FeatureWriter

pytest.importorskip("obstore")

BACKBONE = "random/resnet18?size=32"
NAME = "random_resnet18"
N_PHOTOS = 280  # one shard of 256 and one that is short


@pytest.fixture(scope="module")
def some_photos(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("some")
    paths = sorted(path for path in photos.rglob("*") if path.is_file())
    for path in paths[:: len(paths) // N_PHOTOS][:N_PHOTOS]:
        link = root / path.relative_to(photos)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
    return root


def command(*arguments: str | Path) -> Any:
    result = CliRunner().invoke(group, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_store_in_a_bucket(
    some_photos: Path, tmp_path: Path, bucket: str, gateway: Gateway
) -> None:
    url = f"{bucket}/my birds/ü.zarr"
    puts = 0

    def fail_after_the_first_shard(request: Request) -> Fate:
        nonlocal puts
        puts += request.method == "PUT" and "_commits/00000001" in request.path
        return 403 if puts else "pass"

    # The service fails when the second shard is put aside.
    gateway.fate = fail_after_the_first_shard
    with pytest.raises(StorageError, match="permission denied"):
        fs.extract(some_photos, BACKBONE, url)
    gateway.fate = lambda request: "pass"
    done = command("extract", some_photos, "-b", BACKBONE, "--out", url)
    assert done["images"] == N_PHOTOS - 256
    assert command("extract", some_photos, "-b", BACKBONE, "--out", url)["unchanged"] == [NAME]

    local = fs.extract(some_photos, BACKBONE, tmp_path / "local.zarr").store
    store = fs.open(url)
    there = store.folder.child(f"features/{NAME}")
    for name in local.folder.child(f"features/{NAME}").files():
        assert there.read(name) == (local.path / "features" / NAME / name).read_bytes(), name
    assert [entry["action"] for entry in history(store.folder)] == ["extract"]

    ours = fs.probe(store, NAME, probe="knn", value=5, n_boot=10)
    theirs = fs.probe(local, NAME, probe="knn", value=5, n_boot=10)
    np.testing.assert_array_equal(ours.predictions.scores, theirs.predictions.scores)
    loaded = store.run(ours.name)
    np.testing.assert_array_equal(loaded.predictions.scores, ours.predictions.scores)
    fs.probe(url, NAME, probe="knn", value=5, n_boot=10)  # replaces the run

    listed = command("ls", url)
    assert [feature["state"] for feature in listed["features"]] == ["sealed"]
    assert [run["run"] for run in listed["runs"]] == [ours.name]
    assert command("verify", url)["findings"] == []
    there.write("c/0/0", [there.read("c/0/0")[:-1] + b"?"])
    result = CliRunner().invoke(group, ["verify", url])
    assert result.exit_code == 1
    assert "c/0/0" in result.output
    for name in (NAME, ours.name):
        assert CliRunner().invoke(group, ["rm", url, name]).exit_code == 0
    assert store.features == store.runs == []
    assert store.folder.child("features").files().keys() == {"zarr.json"}


def test_file_urls(tmp_path: Path) -> None:
    samples = make_samples(10)
    store = FeatureStore.create(f"file://{tmp_path}/a%20b.zarr", samples)
    assert store.path == tmp_path / "a b.zarr"
    assert command("info", f"file://{tmp_path}/a%20b.zarr")["samples"] == 10


ROWS, DIM = 3000, 16
VALUES = np.random.default_rng(0).standard_normal((ROWS, DIM)).astype(np.float32)


def put_all(writer: FeatureWriter, step: int) -> int:
    """Put every shard that is not committed, in some order; a writer's whole work."""
    pending = writer.pending()[::step]
    for shard in pending:
        rows = writer.layout.shard_range(shard)
        writer.put(shard, VALUES[rows.start : rows.stop], wait=False)
    writer.flush()
    return len(pending)


def check_feature(store: FeatureStore) -> None:
    assert store.feature("x").sealed
    np.testing.assert_array_equal(store.view("x").array(), VALUES.astype(np.float16))
    assert fs.verify(store) == []
    assert not [name for name in store.folder.files() if "_commits" in name]


@pytest.fixture
def new_writers(bucket: str) -> Callable[[int], list[FeatureWriter]]:
    FeatureStore.create(f"{bucket}/x.zarr", make_samples(ROWS))

    def make(count: int) -> list[FeatureWriter]:
        stores = [FeatureStore.open(f"{bucket}/x.zarr") for _ in range(count)]
        return [store.writer("x", make_spec(store.samples, dim=DIM)) for store in stores]

    return make


def test_two_writers_at_once(
    new_writers: Callable[[int], list[FeatureWriter]], bucket: str
) -> None:
    writers = new_writers(2)

    def work(item: tuple[FeatureWriter, int]) -> None:
        put_all(*item)
        item[0].seal()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, zip(writers, (1, -1), strict=True)))
    check_feature(FeatureStore.open(f"{bucket}/x.zarr"))


def test_writers_in_other_processes(
    new_writers: Callable[[int], list[FeatureWriter]], bucket: str
) -> None:
    """Writers travel to processes that are spawned, where they connect anew."""
    (writer,) = new_writers(1)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as processes:
        counts = list(processes.map(put_all, [writer, writer], [1, -1]))
    assert max(counts) == writer.layout.n_shards
    writer.seal()
    check_feature(FeatureStore.open(f"{bucket}/x.zarr"))


def test_two_creators_at_once(bucket: str) -> None:
    """Twins may both win; of two different stores, one is there and whole."""
    samples = [make_samples(20), make_samples(30)]

    def create(which: Samples) -> bool:
        try:
            FeatureStore.create(f"{bucket}/{kind}.zarr", which)
        except fs.FeatstoreError:
            return False
        return True

    for kind, pair in {"twins": [samples[0]] * 2, "others": samples}.items():
        with ThreadPoolExecutor(2) as threads:
            won = list(threads.map(create, pair))
        assert any(won)
        winner = pair[won.index(True)]
        store = FeatureStore.open(f"{bucket}/{kind}.zarr")
        assert store.samples.digest == winner.digest
        assert fs.verify(store) == []
