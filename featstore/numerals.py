"""Numerals: numbers as people read them, in percent, points, intervals and counts."""

from __future__ import annotations

import math

NONE = "–"
"""Stands for what is undefined."""

_SPACE = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"


def percent(value: float) -> str:
    r"""Share in [0, 1] in percent, with one decimal and its unit.

    Examples
    --------
    >>> percent(0.8125)
    '81.2\xa0%'
    """
    return NONE if math.isnan(value) else f"{100 * value:.1f}{_SPACE}%"


def points(value: float) -> str:
    """Difference of two shares in percentage points, signed; zero has no sign.

    Examples
    --------
    >>> points(0.0123), points(-0.0123), points(-0.0001)
    ('+1.2', '−1.2', '0.0')
    """
    if math.isnan(value):
        return NONE
    size = f"{100 * abs(value):.1f}"
    if float(size) == 0:
        return size
    return ("+" if value > 0 else _MINUS) + size


def span(low: float, high: float) -> str:
    """Interval of shares in percent.

    Examples
    --------
    >>> span(0.789, 0.836)
    '78.9–83.6'
    """
    return NONE if math.isnan(low) or math.isnan(high) else f"{100 * low:.1f}–{100 * high:.1f}"


def points_span(low: float, high: float) -> str:
    """Interval of differences in percentage points.

    Examples
    --------
    >>> points_span(-0.003, 0.027)
    '−0.3 to +2.7'
    """
    return NONE if math.isnan(low) or math.isnan(high) else f"{points(low)} to {points(high)}"


def p_value(value: float) -> str:
    """Probability with two digits that count, never a bare zero.

    Examples
    --------
    >>> p_value(0.0123), p_value(0.4), p_value(1e-9)
    ('0.012', '0.40', '< 0.001')
    """
    if math.isnan(value):
        return NONE
    if value < 0.001:
        return "< 0.001"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def plural(number: int, noun: str) -> str:
    r"""Count a noun, the number and the noun on one line.

    Examples
    --------
    >>> plural(1, "class"), plural(2624, "image"), plural(8, "class")
    ('1\xa0class', '2,624\xa0images', '8\xa0classes')
    """
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,}{_SPACE}{noun}{ending}"


def size(nbytes: int) -> str:
    r"""Bytes with three figures and their unit; kB, MB … are powers of 1000.

    Examples
    --------
    >>> size(950), size(43_210), size(13_700_000), size(999_999_999)
    ('950\xa0B', '43.2\xa0kB', '13.7\xa0MB', '1\xa0GB')
    """
    value, units = float(nbytes), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        del units[0]
    return f"{value:.3g}{_SPACE}{units[0]}"
