"""Encoders whose device computes while the host goes on: a stand-in that notes what is asked of it.

It computes when its features are waited for, from the pixels that are there by then: whoever lets
go of a batch too early gets other bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kill_writers import tree_digest
from numpy.typing import NDArray
from tiny_images import Projection, TinyImages

from featstore.encoder import Encoder, overlapping
from featstore.encoding_line import ExtractionSettings
from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.extraction import extract_features
from featstore.extraction_desk import ExtractionDesk
from featstore.extraction_job import ExtractionJob, Step, pickled
from featstore.store import FeatureStore

IMAGES = TinyImages(600)
BATCHES = 10  # of 64 rows at most, none across the end of a shard


@dataclass(frozen=True)
class Queue(Projection):
    """A device with a queue of batches.

    Attributes
    ----------
    log
        What was asked for, in order.
    room
        Images that its memory holds; by whether a batch is begun, waited for, or encoded at once.
    spoilt
        A batch whose first feature is not a number.
    """

    ahead: int = 1
    log: list[str] = field(default_factory=list)
    buffers: list[NDArray[np.uint8]] = field(default_factory=list)
    room: dict[str, int] = field(default_factory=dict)
    spoilt: int | None = None

    def pixel_buffer(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        self.buffers.append(np.zeros(shape, np.uint8))
        return self.buffers[-1]

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._note("encode", len(pixels))
        return super().encode(pixels)

    def begin(self, pixels: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        number = sum(line.startswith("begin") for line in self.log)
        self._note("begin", len(pixels), number)
        assert any(np.shares_memory(pixels, buffer) for buffer in self.buffers)

        def wait() -> NDArray[np.float32]:
            self._note("wait", len(pixels), number)
            features = Projection.encode(self, pixels)
            if number == self.spoilt:
                features[0, 3] = np.nan
            return features

        return wait

    def _note(self, event: str, images: int, number: int | None = None) -> None:
        self.log.append(f"{event} {images if number is None else number}")
        if images > self.room.get(event, images):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the digests of the features that an encoder computes batch after batch."""
    path = tmp_path_factory.mktemp("whole") / "s.zarr"
    run(path, {"x": Projection(), "wide": Projection(dim=24)})
    return {name: tree_digest(path / name) for name in ("x", "wide")}


def run(path: Path, encoders: dict[str, Encoder]) -> FeatureStore:
    store = FeatureStore.create(path, IMAGES.samples, source=IMAGES.source)
    extract_features(IMAGES, encoders, store, batch_size=64, workers=2)
    return store


def test_a_batch_is_begun_before_the_one_before_is_waited_for(
    tmp_path: Path, whole: dict[str, Any]
) -> None:
    device = Queue()
    run(tmp_path / "s.zarr", {"x": device})
    steps = [f"begin {i + 1}|wait {i}" for i in range(BATCHES - 1)]
    assert "|".join(device.log) == "|".join(["begin 0", *steps, f"wait {BATCHES - 1}"])
    assert len(device.buffers) == 3 + device.ahead
    assert tree_digest(tmp_path / "s.zarr" / "x") == whole["x"]


def test_encoders_of_either_kind_share_a_decoding(tmp_path: Path, whole: dict[str, Any]) -> None:
    run(tmp_path / "s.zarr", {"x": Queue(ahead=2), "wide": Projection(dim=24)})
    assert {name: tree_digest(tmp_path / "s.zarr" / name) for name in whole} == whole


def test_encoders_that_do_not_overlap_are_told_apart() -> None:
    device = Queue()
    assert overlapping(device) is device
    assert overlapping(Queue(ahead=0)) is None
    assert overlapping(Projection()) is None


@pytest.mark.parametrize("event", ["begin", "wait"])
def test_what_memory_did_not_suffice_for_is_encoded_again(
    event: str, tmp_path: Path, whole: dict[str, Any]
) -> None:
    """By halves, from the same pixels, when the batches before are done."""
    device = Queue(room={event: 50, "encode": 40})
    run(tmp_path / "s.zarr", {"x": device})
    first = device.log.index("encode 64")
    assert device.log[first + 1 : first + 3] == ["encode 32", "encode 32"]
    assert (
        device.log[:first]
        == {
            "begin": ["begin 0", "begin 1"],
            "wait": ["begin 0", "begin 1", "wait 0"],
        }[event]
    )
    assert tree_digest(tmp_path / "s.zarr" / "x") == whole["x"]


def test_nan_is_named_by_its_own_batch(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=rf"1 of 64 images.*: {64:07d}\.ppm;"):
        run(tmp_path / "s.zarr", {"x": Queue(spoilt=1)})


def test_what_was_begun_before_an_unreadable_image_is_kept(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Broken(TinyImages):
        def image(self, row: int) -> bytes:
            return b"" if row == 257 else super().image(row)

    images, committed = Broken(IMAGES.n), []
    for name, encoder in (("plain", Projection()), ("queue", Queue())):
        path = tmp_path / f"{name}.zarr"
        store = FeatureStore.create(path, images.samples, source=images.source)
        with pytest.raises(UnreadableImageError, match="of 0 bytes"):
            extract_features(images, {"x": encoder}, store, batch_size=64)
        committed.append(store.feature("x").committed_rows)
    assert committed == [256, 256]


def test_a_worker_computes_its_units_to_the_end(tmp_path: Path, whole: dict[str, Any]) -> None:
    """Also those after which it is told of no other."""
    FeatureStore.create(tmp_path / "s.zarr", IMAGES.samples, source=IMAGES.source)
    settings = ExtractionSettings(batch_size=64, workers=2)
    load = partial(dict, x=Queue())
    job = ExtractionJob(pickled(IMAGES), load, str(tmp_path / "s.zarr"), settings)
    desk = ExtractionDesk(job)
    ready = desk.compute(None)
    assert ready.error is None
    units = [range(0, 256), range(256, 512), range(512, 600)]
    for unit, then in zip(units, [units[1], None, None], strict=True):
        outcome = desk.compute(Step(unit, then))
        assert (outcome.error, outcome.done, outcome.images) == (None, True, len(unit))
    assert desk.compute(None).error is None
    ready.details.writers["x"].seal()
    assert tree_digest(tmp_path / "s.zarr" / "x") == whole["x"]
