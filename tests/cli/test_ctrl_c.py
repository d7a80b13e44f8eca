"""Ctrl-C, as a terminal sends it: exit code 130, one line, nothing half-written, and on it goes."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from interrupted_command import interrupt
from PIL import Image
from sklearn.datasets import load_digits

from featstore import shards
from featstore.cli.main import INTERRUPTED
from featstore.importation import import_features
from featstore.store import FeatureStore
from featstore.verification import verify

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends signals")


@dataclass(frozen=True)
class Work:
    """A command that takes some time, and its store.

    Attributes
    ----------
    arguments
        Of the command.
    store
        Where it writes.
    begun
        Whether it is in the middle of its work.
    """

    arguments: list[object]
    store: Path
    begun: Callable[[], bool]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits as images, twenty times over as vectors, and two stores of these."""
    folder = tmp_path_factory.mktemp("source")
    digits, labels = load_digits(return_X_y=True)
    for i, pixels in enumerate(digits[:600]):
        file = folder / "images" / str(labels[i]) / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels.reshape(8, 8) * 15).astype(np.uint8)).resize((64, 64)).save(file)
    X = np.tile(digits.astype(np.float32), (20, 8))
    for name in ("a", "b"):
        ids = np.asarray([f"{name}{i:06d}" for i in range(len(X))])
        split = np.where(np.arange(len(X)) % 5, "train", "test")
        y = np.tile(labels, 20).astype(str)
        file = folder / f"{name}.npz"
        np.savez(file, features=X, id=ids, label=y, split=split)
        import_features(file, folder / f"{name}.zarr", name="pixels")
    return folder


@pytest.fixture
def work(request: pytest.FixtureRequest, source: Path, tmp_path: Path) -> Work:
    store = tmp_path / "s.zarr"

    def writes(feature: str) -> bool:
        return any(store.glob(f"features/{feature}/_commits/*"))

    match request.param:
        case "import":
            arguments = ["import", source / "a.npz", "--name", "pixels", "--out", store]
            return Work(arguments, store, lambda: writes("pixels"))
        case "merge":
            arguments = ["merge", source / "a.zarr", source / "b.zarr", "--out", store]
            return Work(arguments, store, lambda: writes("pixels"))
        case "extract":
            backbone = ["--backbone", "random/resnet18?size=64", "--device", "cpu"]
            arguments = ["extract", source / "images", *backbone, "--out", store]
            return Work(arguments, store, lambda: writes("random_resnet18"))
        case "probe":
            shutil.copytree(source / "a.zarr", store)
            arguments = ["probe", store, "--features", "pixels"]
            return Work(arguments, store, lambda: False)
        case "verify":
            shutil.copytree(source / "a.zarr", store)
            shard = store / "features" / "pixels" / "c" / "1" / "0"
            content = bytearray(shard.read_bytes())
            content[1000] ^= 1
            shard.write_bytes(content)
            quarantine = store / "features" / "pixels" / "_quarantine"
            return Work(["verify", "--repair", store], store, quarantine.exists)
    raise AssertionError(request.param)


def check(work: Work, stopped: subprocess.CompletedProcess[str]) -> None:
    """Check what an interrupted command has said and left, and that it can be repeated."""
    # Shells show both as 130; Python has the last word where the signal met an `exec` of it.
    assert stopped.returncode in (INTERRUPTED, -signal.SIGINT), stopped.stderr
    lines = [line for line in stopped.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, stopped.stderr
    assert "Run the same command again" in lines[0]
    if work.store.exists() and work.arguments[0] != "verify":
        findings = verify(work.store)
        assert not [finding for finding in findings if finding.severity == "damage"], findings
    again = subprocess.run(
        [sys.executable, "-m", "featstore", *map(str, work.arguments)],
        capture_output=True,
        text=True,
    )
    assert again.returncode == 0, again.stderr
    store = FeatureStore.open(work.store)
    if work.arguments[0] == "verify":
        # Every shard but the damaged one is kept.
        info = store.feature("pixels")
        assert not info.sealed
        assert info.layout.rows - info.committed_rows == info.layout.shard_rows
        return
    assert not verify(store)
    assert all(store.feature(name).sealed for name in store.features)
    assert len(store.runs) == (work.arguments[0] == "probe")
    assert not list(work.store.parent.glob(".*.partial"))


@pytest.mark.parametrize("work", ["import"], indirect=True)
def test_in_the_middle(work: Work) -> None:
    check(work, interrupt(*work.arguments, when=work.begun))


def test_while_a_thread_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was begun ends by itself: the interpreter waits for it before it ends."""
    begun, start = [], threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        begun.append(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            shards._thread(-1)
    begun[0].join(10)
    assert not begun[0].is_alive()


@pytest.mark.slow
@pytest.mark.parametrize("work", ["extract", "merge", "verify"], indirect=True)
def test_in_the_middle_of_longer_work(work: Work) -> None:
    check(work, interrupt(*work.arguments, when=work.begun))


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.3, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("work", ["import", "merge", "extract", "probe", "verify"], indirect=True)
def test_at_any_moment(work: Work, seconds: float) -> None:
    stopped = interrupt(*work.arguments, when=seconds)
    if "interrupted" not in stopped.stderr and stopped.returncode in (0, 1, -signal.SIGINT):
        pytest.skip("was done before")
    check(work, stopped)
