"""What templates apply to numbers, digests and times, beside `featstore.numerals`."""

from __future__ import annotations

import math

from markupsafe import Markup

from featstore.numerals import NONE, p_value, percent, points


def hundredths(value: float) -> str:
    """Share in [0, 1] in percent without its unit, for columns that name it.

    Examples
    --------
    >>> hundredths(0.8125), hundredths(float("nan"))
    ('81.2', '–')
    """
    return NONE if math.isnan(value) else f"{100 * value:.1f}"


def count(value: float) -> str:
    """Whole number with thousands apart.

    Examples
    --------
    >>> count(2624)
    '2,624'
    """
    return f"{int(value):,}"


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
