"""SimulatedDevice: an accelerator of known rate, for measuring what feeds it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featstore.spec import BackboneSpec, Numerics
from featstore.transform import Transform


@dataclass
class SimulatedDevice:
    """An accelerator that needs 1 / rate seconds for an image, and no core meanwhile.

    It is an encoder of featstore's, and the model of a loop.  With `ahead` of 1 it takes a batch
    while it computes the one before, as CUDA devices do; see `featstore.encoder.Overlapping`.
    """

    rate: float
    transform: Transform = field(default_factory=Transform)
    dim: int = 384
    numerics: Numerics = "fp32"
    engine: str = "simulated"
    ahead: int = 0
    busy_s: float = 0.0
    first: float | None = None
    last: float = 0.0
    first_busy_s: float = 0.0

    @property
    def spec(self) -> BackboneSpec:
        return BackboneSpec("simulated", "simulated", "none", "0" * 64, "none", "none", self.dim)

    def pixel_buffer(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        return np.zeros(shape, np.uint8)

    def begin(self, pixels: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        """Queue a batch behind those that were begun; what is returned waits for it."""
        needed = len(pixels) / self.rate
        done = self.last = max(self.last, time.perf_counter()) + needed
        self.busy_s += needed
        if self.first is None:
            self.first, self.first_busy_s = done, needed

        def wait() -> NDArray[np.float32]:
            time.sleep(max(done - time.perf_counter(), 0))
            return np.zeros((len(pixels), self.dim), np.float32)

        return wait

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self(pixels).numpy()

    def __call__(self, images: Any) -> torch.Tensor:
        began = time.perf_counter()
        time.sleep(len(images) / self.rate)
        self.last = time.perf_counter()
        self.busy_s += self.last - began
        if self.first is None:
            self.first, self.first_busy_s = self.last, self.busy_s
        return torch.zeros(len(images), self.dim)

    @property
    def steady_share(self) -> float:
        """Share of the time that it was busy, from the end of its first batch."""
        assert self.first is not None
        return (self.busy_s - self.first_busy_s) / (self.last - self.first)
