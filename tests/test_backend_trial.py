"""Trials of backends: only what agrees is taken, only if it is faster."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_images import EDGE, Projection

from featstore.backend_trial import BackendTrial, deviation, trials_frame
from featstore.encoder import Encoder, backend_of
from featstore.errors import MissingDependencyError

PIXELS = np.random.default_rng(0).integers(0, 256, (5, EDGE, EDGE, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Paced(Projection):
    """A projection that takes its time, and may be off by a factor or a shift."""

    milliseconds: float = 4.0
    factor: float = 1.0
    shift: float = 0.0
    backend: str | None = None
    backends: Mapping[str, Callable[[], Encoder]] = field(default_factory=dict)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        time.sleep(self.milliseconds / 1000)
        features = super().encode(pixels) * np.float32(self.factor)
        features[0, 0] += np.float32(self.shift)
        return features


def tried(**backends: Callable[[], Encoder]) -> tuple[str | None, dict[str, str]]:
    trial = BackendTrial.run(Paced(backends=backends), PIXELS)
    return backend_of(trial.encoder), {line.backend or "": line.outcome for line in trial.lines}


def test_the_fastest_that_agrees() -> None:
    chosen, outcomes = tried(
        quick=lambda: Paced(milliseconds=2, backend="quick"),
        quicker=lambda: Paced(milliseconds=0.5, factor=1 + 1e-6, backend="quicker"),
        scaled=lambda: Paced(milliseconds=0, factor=1.001, backend="scaled"),
        shifted=lambda: Paced(milliseconds=0, shift=0.1, backend="shifted"),
        broken=lambda: Paced(milliseconds=0, factor=np.nan, backend="broken"),
    )
    assert chosen == "quicker"
    assert outcomes == {
        "": "slower",
        "quick": "slower",
        "quicker": "chosen",
        "scaled": "differs",
        "shifted": "differs",
        "broken": "differs",
    }


def test_the_encoder_itself_where_nothing_is_gained() -> None:
    assert tried() == (None, {"": "chosen"})
    chosen, outcomes = tried(same=lambda: Paced(milliseconds=4, backend="same"))
    assert (chosen, outcomes) == (None, {"": "chosen", "same": "slower"})


def test_what_cannot_be_started_is_said_and_passed_over() -> None:
    def missing() -> Encoder:
        raise MissingDependencyError('swift is not installed; run: pip install "featstore[fast]"')

    def failing() -> Encoder:
        raise RuntimeError("no kernel for gelu\nand much more")

    chosen, outcomes = tried(missing=missing, failing=failing)
    assert chosen is None
    assert outcomes["missing"].startswith("swift is not installed; run: pip install")
    assert outcomes["failing"] == "RuntimeError: no kernel for gelu"


def test_lines_hold_what_was_measured() -> None:
    trial = BackendTrial.run(
        Paced(backends={"near": lambda: Paced(milliseconds=1, shift=1e-4, backend="near")}), PIXELS
    )
    frame = trials_frame({"x": trial.lines}).set_index("backend")
    own = Projection().encode(PIXELS)
    assert frame["difference"]["near"] == pytest.approx(1e-4 / np.abs(own).max(), rel=0.1)
    assert frame["cosine_distance"]["near"] < 1e-9
    assert frame["ms_per_image"][""] >= 4 / len(PIXELS)
    assert frame["feature"].tolist() == ["x", "x"]


def test_deviation_of_zeros() -> None:
    zeros = np.zeros((2, 3), np.float32)
    assert deviation(zeros, zeros) == (0.0, 0.0)
    assert deviation(zeros + 1, zeros) == (0.0, np.inf)
    cosine, difference = deviation(np.float32([[1, 0]]), np.float32([[0, 2]]))
    assert (cosine, difference) == (1.0, 1.0)
