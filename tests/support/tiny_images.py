"""Images of a few pixels and an encoder of one product, for tests of what is around them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.encoder import Encoder
from featstore.samples import Samples
from featstore.spec import BackboneSpec, Numerics
from featstore.transform import Transform

EDGE = 8


@dataclass(frozen=True)
class TinyImages:
    """A data set of `n` images of noise, encoded as PPM files in memory."""

    n: int

    @cached_property
    def samples(self) -> Samples:
        ids = np.asarray([f"{row:07d}.ppm" for row in range(self.n)])
        return Samples(ids, np.full(self.n, "train"))

    @property
    def source(self) -> dict[str, Any]:
        return {"kind": "noise"}

    def image(self, row: int) -> bytes:
        noise = np.random.default_rng(row).integers(0, 256, EDGE * EDGE * 3, np.uint8)
        return f"P6 {EDGE} {EDGE} 255 ".encode() + noise.tobytes()


@dataclass(frozen=True)
class Projection:
    """An encoder: a fixed random projection of the pixels."""

    dim: int = 16
    numerics: Numerics = "fp32"
    engine: str = "numpy"

    @property
    def transform(self) -> Transform:
        return Transform(geometry="squash", resize=None, size=EDGE)

    @property
    def spec(self) -> BackboneSpec:
        return BackboneSpec("test", "projection", "random", "0" * 64, "output", "none", self.dim)

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        rng = np.random.default_rng(0)
        return rng.normal(size=(EDGE * EDGE * 3, self.dim)).astype(np.float32)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return pixels.reshape(len(pixels), -1).astype(np.float32) / 255 @ self.weights


def projections(device: str, threads: int) -> dict[str, Encoder]:
    """Load two encoders, whose shards have 256 and 512 rows at 1,000 images."""
    return {"x": Projection(), "wide": Projection(dim=12)}
