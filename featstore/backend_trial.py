"""BackendTrial: which of an encoder's backends is the fastest that agrees with the encoder itself.

A backend is another library that computes the same network in float32, with operations fused and
reordered, and so with other rounding.  It is taken only if on the images of the trial its features
are as near to the encoder's own as `MOST_COSINE_DISTANCE` and `MOST_DIFFERENCE` say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featstore.encoder import Encoder, MultiBackend
from featstore.errors import MissingDependencyError

if TYPE_CHECKING:
    import pandas as pd

#: 1 − cosine between an image's features by a backend and by the encoder itself.
MOST_COSINE_DISTANCE = 1e-8
#: Between two such features, relative to the largest absolute value of all the encoder's.
MOST_DIFFERENCE = 1e-4
#: A backend must save so large a share of the encoder's own time.
LEAST_GAIN = 0.05
#: Images of a trial.
TRIAL_IMAGES = 32
_ROUNDS = 5
_SECONDS = 6.0


@dataclass(frozen=True)
class BackendLine:
    """What a trial found out about one backend.

    Attributes
    ----------
    backend
        Its name; None for the encoder itself.
    engine
        What computed, with versions; empty if it could not be started.
    ms_per_image
        Least wall time of a round, per image; NaN if it was not timed.
    cosine_distance, difference
        The greatest over the images; see `MOST_COSINE_DISTANCE` and `MOST_DIFFERENCE`.
    outcome
        ``"chosen"``, ``"slower"``, ``"differs"``, or why it could not be started.
    """

    backend: str | None
    engine: str
    ms_per_image: float
    cosine_distance: float
    difference: float
    outcome: str


@dataclass(frozen=True, eq=False)
class BackendTrial:
    """A trial of backends.

    Attributes
    ----------
    encoder
        On the backend that was chosen.
    lines
        One for the encoder itself, then one for each backend.
    """

    encoder: Encoder
    lines: tuple[BackendLine, ...]

    @classmethod
    def run(cls, encoder: MultiBackend, pixels: NDArray[np.uint8]) -> BackendTrial:
        """Let all backends of an encoder take turns on some images.

        Parameters
        ----------
        encoder
            Whose features count.
        pixels
            Some of the images that are to be encoded, shape (n, size, size, 3).

        Returns
        -------
        trial
            With the encoder itself, where no backend agrees and is faster.
        """
        own = encoder.encode(pixels)
        running: dict[str | None, Encoder] = {None: encoder}
        lines: dict[str | None, BackendLine] = {}
        lines[None] = BackendLine(None, encoder.engine, nan, 0.0, 0.0, "slower")
        for name, start in encoder.backends.items():
            line, started = _start(name, start, pixels, own)
            lines[name] = line
            if started is not None:
                running[name] = started
        seconds = _take_turns(running, pixels)
        chosen = _choose(seconds)
        for tried, least in seconds.items():
            lines[tried] = replace(
                lines[tried],
                ms_per_image=1000 * least / len(pixels),
                outcome="chosen" if tried == chosen else "slower",
            )
        return cls(running[chosen], tuple(lines.values()))


def trials_frame(trials: Mapping[str, Sequence[BackendLine]]) -> pd.DataFrame:
    """List trials as a long-form table.

    Parameters
    ----------
    trials
        Lines of each feature's trial, by its name.

    Returns
    -------
    frame
        Columns ``feature``, ``backend`` (empty for the encoder itself), ``engine``,
        ``ms_per_image``, ``cosine_distance``, ``difference`` and ``outcome``.

    Examples
    --------
    >>> line = BackendLine("openvino", "openvino 2026.4.1 cpu", 9.0, 1e-12, 2e-6, "chosen")
    >>> trials_frame({"lite0": [line]})[["feature", "backend", "outcome"]].values.tolist()
    [['lite0', 'openvino', 'chosen']]
    """
    import pandas as pd

    names = ["engine", "ms_per_image", "cosine_distance", "difference", "outcome"]
    rows = [
        {"feature": feature, "backend": line.backend or ""} | {n: getattr(line, n) for n in names}
        for feature, lines in trials.items()
        for line in lines
    ]
    return pd.DataFrame(rows, columns=["feature", "backend", *names])


def deviation(features: NDArray[np.float32], own: NDArray[np.float32]) -> tuple[float, float]:
    """Measure how far features are from those they should be.

    Returns
    -------
    cosine_distance, difference
        The greatest 1 − cosine of a row, and the greatest absolute difference relative to the
        largest absolute value of `own`.

    Examples
    --------
    >>> a = np.asarray([[3.0, 4.0]], np.float32)
    >>> deviation(a, a)
    (0.0, 0.0)
    """
    a, b = features.astype(np.float64), own.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    # Rows of zeros point nowhere; only their difference counts.
    cosines = np.divide((a * b).sum(1), norms, out=np.ones_like(norms), where=norms > 0)
    largest = float(np.abs(b).max())
    difference = float(np.abs(a - b).max())
    return (
        max(float(1 - cosines.min()), 0.0),
        difference / largest if largest > 0 else (inf if difference else 0.0),
    )


def _start(
    name: str,
    start: Callable[[], Encoder],
    pixels: NDArray[np.uint8],
    own: NDArray[np.float32],
) -> tuple[BackendLine, Encoder | None]:
    """Start a backend and compare its features; None in place of an encoder that is no good."""
    try:
        encoder = start()
        features = encoder.encode(pixels)
    except MissingDependencyError as error:
        return BackendLine(name, "", nan, nan, nan, str(error)), None
    except Exception as error:  # noqa: BLE001  (whatever exporters and compilers raise)
        reason = (str(error).strip().splitlines() or [""])[0]
        line = BackendLine(name, "", nan, nan, nan, f"{type(error).__name__}: {reason}"[:200])
        return line, None
    distance, difference = deviation(features, own)
    # So written that a NaN differs, too.
    agrees = distance <= MOST_COSINE_DISTANCE and difference <= MOST_DIFFERENCE
    line = BackendLine(name, encoder.engine, nan, distance, difference, "differs")
    return line, encoder if agrees else None


def _take_turns(
    running: Mapping[str | None, Encoder], pixels: NDArray[np.uint8]
) -> dict[str | None, float]:
    """Time encoders in turns; returns the least seconds of each, which noise disturbs least."""
    if len(running) == 1:
        return dict.fromkeys(running, nan)
    least: dict[str | None, float] = dict.fromkeys(running, inf)
    began = time.perf_counter()
    for _ in range(_ROUNDS):
        for name, encoder in running.items():
            start = time.perf_counter()
            encoder.encode(pixels)
            least[name] = min(least[name], time.perf_counter() - start)
        if time.perf_counter() - began > _SECONDS:
            break
    return least


def _choose(seconds: Mapping[str | None, float]) -> str | None:
    """Name the fastest backend, or None if it saves too little."""
    fastest = min(seconds, key=lambda name: seconds[name])
    return fastest if seconds[fastest] <= (1 - LEAST_GAIN) * seconds[None] else None
