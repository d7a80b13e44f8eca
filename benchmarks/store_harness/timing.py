"""Timing: one contestant, one operation, all repeats, and how it compares with the limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Laps:
    """Times of one contestant.

    Attributes
    ----------
    rows
        Rows that every repeat read or wrote.
    seconds
        Repeat -> wall time.
    """

    rows: int
    seconds: dict[int, float]


@dataclass(frozen=True)
class Timing:
    """A line of results.

    Attributes
    ----------
    format, operation, temperature
        Who did what; ``"warm"`` with the values in the page cache, ``"cold"`` without,
        ``"write"`` for writing.
    rows, seconds
        Rows of every repeat, and wall times.
    rows_per_s, gb_per_s
        Medians; GB are 10^9 bytes of values.
    ratio, ratio_low, ratio_high
        Rate relative to the limit's in the same repeat: median, least and greatest.  Above 1 is
        faster than the limit.
    ratio_of_best
        The same of the best repeat of each, which is less sensitive to a busy machine.
    """

    format: str
    operation: str
    temperature: str
    rows: int
    seconds: list[float]
    rows_per_s: float
    gb_per_s: float
    ratio: float
    ratio_low: float
    ratio_high: float
    ratio_of_best: float


def compare(
    laps: dict[str, Laps], *, limit: str, operation: str, temperature: str, row_bytes: int
) -> list[Timing]:
    """Set the times of all contestants against those of the limit."""
    reference = laps[limit]
    timings = []
    for name, lap in laps.items():
        rates = {repeat: lap.rows / seconds for repeat, seconds in lap.seconds.items()}
        ratios = [rates[i] * reference.seconds[i] / reference.rows for i in rates]
        best = max(rates.values()) * min(reference.seconds.values()) / reference.rows
        rate = float(np.median(list(rates.values())))
        timings.append(
            Timing(
                format=name,
                operation=operation,
                temperature=temperature,
                rows=lap.rows,
                seconds=list(lap.seconds.values()),
                rows_per_s=rate,
                gb_per_s=rate * row_bytes / 1e9,
                ratio=float(np.median(ratios)),
                ratio_low=min(ratios),
                ratio_high=max(ratios),
                ratio_of_best=best,
            )
        )
    return timings
