"""SimulatedDevice: an accelerator of known rate, for measuring what feeds it."""

from __future__ import annotations

import time
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

    It is an encoder of featstore's, and the model of a loop.
    """

    rate: float
    transform: Transform = field(default_factory=Transform)
    dim: int = 384
    numerics: Numerics = "fp32"
    engine: str = "simulated"
    busy_s: float = 0.0
    first: float | None = None
    last: float = 0.0
    first_busy_s: float = 0.0

    @property
    def spec(self) -> BackboneSpec:
        return BackboneSpec("simulated", "simulated", "none", "0" * 64, "none", "none", self.dim)

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
