"""Numbers as people read them: percent, points, intervals, p-values."""

from __future__ import annotations

import math

from markupsafe import Markup

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


def hundredths(value: float) -> str:
    """Share in [0, 1] in percent without its unit, for columns that name it.

    Examples
    --------
    >>> hundredths(0.8125), hundredths(float("nan"))
    ('81.2', '–')
    """
    return NONE if math.isnan(value) else f"{100 * value:.1f}"


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


def count(value: float) -> str:
    """Whole number with thousands apart.

    Examples
    --------
    >>> count(2624)
    '2,624'
    """
    return f"{int(value):,}"


def plural(number: int, noun: str) -> str:
    r"""Count a noun, the number and the noun on one line.

    Examples
    --------
    >>> plural(1, "class"), plural(2624, "image"), plural(8, "class")
    ('1\xa0class', '2,624\xa0images', '8\xa0classes')
    """
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,}{_SPACE}{noun}{ending}"


def short_digest(value: str) -> Markup:
    """First 12 letters of a digest; all of it on hovering.

    Examples
    --------
    >>> print(short_digest("0123456789abcdef"))
    <code title="0123456789abcdef">0123456789ab</code>
    """
    return Markup('<code title="{}">{}</code>').format(value, value[:12])


def moment(time: str) -> str:
    """ISO time as people write it.

    Examples
    --------
    >>> moment("2026-01-31T12:00:00+00:00")
    '2026-01-31 12:00 UTC'
    """
    date, _, clock = time.partition("T")
    return f"{date} {clock[:5]} UTC" if clock.endswith("+00:00") else time


FILTERS = {
    "percent": percent,
    "hundredths": hundredths,
    "points": points,
    "p_value": p_value,
    "count": count,
    "moment": moment,
    "digest": short_digest,
}
"""What templates may apply to one value."""
