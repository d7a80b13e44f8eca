"""An encoder that notes when it was done with each batch; for workers to import."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featstore.backbones import load_encoder
from featstore.encoder import Encoder
from simulated_device import SimulatedDevice


class Noting:
    """An encoder that appends a line to a file after every batch: time, CPU time, images."""

    ahead = 0  # batches are noted one by one

    def __init__(self, encoder: Any, log: Path) -> None:
        self._encoder, self._log = encoder, log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode(self, pixels: Any) -> Any:
        features = self._encoder.encode(pixels)
        with self._log.open("a") as log:
            log.write(f"{os.getpid()} {time.monotonic()} {time.process_time()} {len(pixels)}\n")
        return features


def load_noting(
    source: str, rate: float, log: Path, device: str, threads: int
) -> Mapping[str, Encoder]:
    """Load the encoder of a source, or a device of this rate where there is none."""
    encoder: Any = SimulatedDevice(rate)
    if source:
        encoder = load_encoder(source, device=device, threads=threads)
    return {"x": Noting(encoder, log)}
