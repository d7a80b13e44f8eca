"""Trajectory: where a solver was at what time, written down as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ALL_UP_TO = 30  # points; later ones are kept where 5 % more have been seen
_GROWTH = 1.05


class StopError(Exception):
    """A solver has used up its time, or come as far as anybody asks."""


@dataclass
class Trajectory:
    """Parameters (k, d + 1) that a solver passed through, and its times on reaching them.

    The clock stands still while a point is written down.

    Attributes
    ----------
    budget
        CPU seconds after which the solver is stopped.
    is_enough
        Says of parameters whether they are as good as anybody asks: the solver is stopped there.
    cpu, wall
        Seconds at the points.
    thetas, steps
        The points, and how many the solver had passed through by then.
    seen
        How many it passed through in all.
    """

    budget: float
    is_enough: Callable[[NDArray[Any]], bool] | None = None
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    thetas: list[NDArray[Any]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    seen: int = 0

    def __post_init__(self) -> None:
        self._cpu_start, self._wall_start = time.process_time(), time.perf_counter()

    def add(self, theta: Callable[[], NDArray[Any]], *, last: bool = False) -> None:
        """Note a point; `theta` is asked for only if it is kept."""
        cpu, wall = time.process_time(), time.perf_counter()
        self.seen += 1
        wanted = self.seen <= _ALL_UP_TO or self.seen >= _GROWTH * self.steps[-1]
        if wanted or last or cpu - self._cpu_start > self.budget:
            self.cpu.append(cpu - self._cpu_start)
            self.wall.append(wall - self._wall_start)
            self.thetas.append(np.array(theta()))
            self.steps.append(self.seen)
            if self.is_enough is not None and self.is_enough(self.thetas[-1]):
                raise StopError
        if self.cpu[-1] > self.budget and not last:
            raise StopError
        self._cpu_start += time.process_time() - cpu
        self._wall_start += time.perf_counter() - wall

    def first_below(self, value: float, objective: Callable[[NDArray[Any]], float]) -> int | None:
        """Position of the first point whose objective is at most `value`; None if there is none.

        By bisection: what these solvers do in between is monotone but for a few steps.
        """
        low, high = 0, len(self.thetas) - 1
        if high < 0 or objective(self.thetas[high]) > value:
            return None
        while low < high:
            middle = (low + high) // 2
            low, high = (
                (low, middle) if objective(self.thetas[middle]) <= value else (middle + 1, high)
            )
        return high
