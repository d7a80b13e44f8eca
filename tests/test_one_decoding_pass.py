"""One pass over the images, whatever the number of backbones, and no more of them in memory."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tiny_images import Projection, TinyImages

import featstore.preparation
from featstore.encoding_line import ExtractionSettings
from featstore.extraction import extract_features
from featstore.feature_extraction import extract_here
from featstore.images import ImageSource
from featstore.store import FeatureStore
from featstore.transform import Transform

N = 700


@dataclass(frozen=True)
class Sized(Projection):
    """An encoder of squares of another size, which means of their pixels."""

    edge: int = 8

    @property
    def transform(self) -> Transform:
        return replace(super().transform, size=self.edge)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        means = pixels.reshape(len(pixels), -1).mean(1, dtype=np.float32)
        return np.repeat(means[:, None], self.dim, axis=1)


class Counted(TinyImages):
    """Images that count how often each is read."""

    @cached_property
    def reads(self) -> NDArray[np.int64]:
        return np.zeros(self.n, np.int64)

    def image(self, row: int) -> bytes:
        self.reads[row] += 1
        return super().image(row)


def test_three_backbones_decode_every_image_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of them want other pixels, and shards of other lengths, than the third."""
    images = Counted(N)
    decoded: Counter[bytes] = Counter()
    decode = featstore.preparation.decode

    def counting(source: ImageSource, **options: Any) -> Image.Image:
        assert isinstance(source, bytes)
        decoded[source] += 1
        return decode(source, **options)

    monkeypatch.setattr(featstore.preparation, "decode", counting)
    encoders = {"a": Projection(), "b": Sized(dim=12), "c": Sized(edge=16)}
    store = FeatureStore.create(tmp_path / "s.zarr", images.samples, source=images.source)
    result = extract_features(images, encoders, store, batch_size=64)
    assert (result.computed, result.images) == (("a", "b", "c"), N)
    assert len({store.feature(name).layout.shard_rows for name in encoders}) == 2
    assert (images.reads == 1).all()
    assert set(decoded.values()) == {1}
    assert len(decoded) == N

    # What is there is not decoded again for what is added, nor for those that are complete.
    more = {**encoders, "d": Sized(edge=4)}
    again = extract_features(images, more, store, batch_size=64)
    assert again.computed == ("d",)
    assert set(decoded.values()) == {2}


def test_images_that_are_read_ahead_are_few(tmp_path: Path) -> None:
    """However slow the encoder is: three batches are under way, and what is encoded is let go."""
    n, batch = 2000, 32
    images = Counted(n)
    ahead: list[int] = []
    held: list[int] = []

    class Slow(Sized):
        def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            ahead.append(int(images.reads.sum()) - batch * len(ahead))
            held.append(tracemalloc.get_traced_memory()[0])
            return super().encode(pixels)

    store = FeatureStore.create(tmp_path / "s.zarr", images.samples, source=images.source)
    settings = ExtractionSettings(batch_size=batch, workers=1)
    tracemalloc.start()
    try:
        extract_here(images, {"x": Slow(edge=32)}, store, settings, progress=False)
    finally:
        tracemalloc.stop()
    assert batch <= max(ahead) <= 3 * batch
    # The first shard is written once, and buffers are there.  A picture that was kept would be
    # 3 kB, and what is known of it alone half a kB.
    warm = len(held) // 2
    growth = np.mean(held[-8:]) - np.mean(held[warm : warm + 8])
    assert growth / (batch * (len(held) - warm)) < 100
