"""Extraction when something goes wrong: NaN, images that hang, ranks that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kill_writers import tree_digest
from numpy.typing import NDArray
from tiny_images import Projection, TinyImages

from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.extraction import extract_features
from featstore.images import load_pixels
from featstore.rank import Rank
from featstore.store import FeatureStore

IMAGES = TinyImages(600)
ENCODER = Projection()


@pytest.fixture
def stores(tmp_path: Path) -> tuple[FeatureStore, FeatureStore]:
    """Return a store of an undisturbed extraction, and an empty one."""
    whole, empty = (
        FeatureStore.create(tmp_path / f"{name}.zarr", IMAGES.samples, source=IMAGES.source)
        for name in ("whole", "empty")
    )
    extract_features(IMAGES, {"x": ENCODER}, whole)
    return whole, empty


@dataclass(frozen=True)
class Spoiling:
    """An encoder that returns something else for the brightest image of each batch."""

    value: float

    def __getattr__(self, name: str) -> Any:
        return getattr(ENCODER, name)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        features = ENCODER.encode(pixels)
        features[pixels.reshape(len(pixels), -1).sum(1).argmax(), 7] = self.value
        return features


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "NaN or Inf for 1 of"), (-np.inf, "NaN or Inf for 1 of"), (1e6, r"up to 1e\+06 do")],
)
def test_what_cannot_be_stored_is_named(
    stores: tuple[FeatureStore, FeatureStore], value: float, message: str
) -> None:
    pixels = [load_pixels(IMAGES.image(row), ENCODER.transform) for row in range(128)]
    brightest = str(IMAGES.samples.ids[np.argmax([image.sum() for image in pixels])])
    with pytest.raises(InvalidInputError, match=message) as caught:
        extract_features(IMAGES, {"x": Spoiling(value)}, stores[1])
    assert f"128 images of a batch: {brightest};" in str(caught.value)
    assert stores[1].feature("x").committed_rows == 0


@dataclass(frozen=True)
class Hanging:
    """Images one of which is never read to its end."""

    row: int
    gate: threading.Event

    def __getattr__(self, name: str) -> Any:
        return getattr(IMAGES, name)

    def image(self, row: int) -> bytes:
        if row == self.row:
            self.gate.wait()
        return IMAGES.image(row)


@pytest.mark.parametrize("workers", [1, 3])
def test_an_image_that_hangs_is_named_and_may_be_excluded(
    stores: tuple[FeatureStore, FeatureStore], workers: int
) -> None:
    whole, store = stores
    gate = threading.Event()
    hanging = Hanging(205, gate)
    name = str(IMAGES.samples.ids[205])
    with pytest.raises(UnreadableImageError, match=rf"{name}.*not decoded within 0\.3 s"):
        extract_features(hanging, {"x": ENCODER}, store, decode_timeout=0.3, workers=workers)

    batches = iter(range(6))

    @dataclass(frozen=True)
    class Waking:
        """Let the image that hangs come back to life later, when its buffer is in use again."""

        def __getattr__(self, attribute: str) -> Any:
            return getattr(ENCODER, attribute)

        def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            if next(batches, None) == 4:
                gate.set()
            return ENCODER.encode(pixels)

    result = extract_features(
        hanging,
        {"x": Waking()},
        store,
        decode_timeout=0.3,
        workers=workers,
        batch_size=64,
        on_error="skip",
    )
    assert list(result.excluded) == [205]
    others = np.delete(np.arange(len(IMAGES.samples)), 205)
    np.testing.assert_array_equal(store.view("x").array(), whole.view("x").array()[others])


def test_ranks_divide_the_shards_and_the_last_one_completes(
    stores: tuple[FeatureStore, FeatureStore],
) -> None:
    whole, store = stores
    images, left = [], []
    for index in (2, 0, 1):
        part = extract_features(IMAGES, {"x": ENCODER}, store, rank=Rank(index, 3))
        images.append(part.images)
        left.append(part.unfinished.get("x", 0))
        assert store.feature("x").sealed == (index == 1)
        assert part.computed == (("x",) if index == 1 else ())
    assert images == [600 - 2 * 256, 256, 256]
    assert left == [2, 1, 0]
    assert tree_digest(whole.path) == tree_digest(store.path)
    again = extract_features(IMAGES, {"x": ENCODER}, store, rank=Rank(0, 3))
    assert (again.images, again.unfinished, again.unchanged) == (0, {}, ("x",))


RANK = """
import os, signal, sys
from pathlib import Path
from tiny_images import Projection, TinyImages
from featstore.extraction import extract_features
from featstore.rank import Rank
from featstore.store import FeatureStore

class Dying(Projection):
    calls = 0
    def encode(self, pixels):
        Dying.calls += 1
        if Dying.calls == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(pixels)

store = FeatureStore.open(sys.argv[1])
rank = Rank.parse(sys.argv[2])
print(extract_features(TinyImages(600), {"x": Dying()}, store, rank=rank).images)
"""


def test_a_rank_that_was_killed_is_run_again(stores: tuple[FeatureStore, FeatureStore]) -> None:
    whole, store = stores

    def run(rank: str, *, dies_at: int) -> tuple[int, str]:
        command = [sys.executable, "-c", RANK, str(store.path), rank, str(dies_at)]
        path = os.pathsep.join(p for p in sys.path if p)
        env = {**os.environ, "PYTHONPATH": path, "OMP_WAIT_POLICY": "PASSIVE"}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=env)
        return done.returncode, done.stdout.strip()

    # Shards 0 and 2, of 256 and 88 rows; dead in the second batch of the first.
    assert run("0/2", dies_at=2) == (-signal.SIGKILL, "")
    assert run("1/2", dies_at=0) == (0, "256")
    assert not store.feature("x").sealed
    assert run("0/2", dies_at=0) == (0, "344")
    assert store.feature("x").sealed
    assert tree_digest(whole.path) == tree_digest(store.path)


def test_without_ranks_one_process_takes_over_from_a_dead_one(
    stores: tuple[FeatureStore, FeatureStore],
) -> None:
    whole, store = stores

    @dataclass(frozen=True)
    class Interrupting:
        batches: Iterator[int]

        def __getattr__(self, name: str) -> Any:
            return getattr(ENCODER, name)

        def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            if next(self.batches, None) is None:
                raise KeyboardInterrupt
            return ENCODER.encode(pixels)

    with pytest.raises(KeyboardInterrupt):
        extract_features(IMAGES, {"x": Interrupting(iter(range(3)))}, store)
    assert extract_features(IMAGES, {"x": ENCODER}, store).images == 600 - 256
    assert tree_digest(whole.path) == tree_digest(store.path)
