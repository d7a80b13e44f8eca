"""Counts of rows as people write them: 500, 50k, 1.3M."""

from __future__ import annotations

import re
from fractions import Fraction

from featstore.errors import InvalidInputError

_UNITS = {"": 1, "k": 1_000, "M": 1_000_000}
_COUNT = re.compile(r"(\d+(?:\.\d+)?)([kKmM]?)")


def parse_count(text: str) -> int:
    """Return the number that a text such as ``50k`` or ``1.3M`` stands for.

    Raises
    ------
    InvalidInputError
        If it stands for none, or for a fraction of a row.

    Examples
    --------
    >>> parse_count("500"), parse_count("50k"), parse_count("1.3M")
    (500, 50000, 1300000)
    """
    found = _COUNT.fullmatch(text.strip().replace("_", ""))
    unit = "" if found is None else {"K": "k", "m": "M"}.get(found[2], found[2])
    number = Fraction(found[1]) * _UNITS[unit] if found else Fraction(1, 2)
    if number.denominator != 1:
        raise InvalidInputError(
            f"{text!r} is no number of rows: write 500, 50k or 1.3M, with k for thousands and M "
            "for millions"
        )
    return int(number)


def count_name(count: int) -> str:
    """Return the shortest exact way to write a count; `parse_count` reads it.

    Examples
    --------
    >>> count_name(500), count_name(50_000), count_name(1_300_000), count_name(1_234)
    ('500', '50k', '1.3M', '1234')
    """
    for unit, size in (("M", _UNITS["M"]), ("k", _UNITS["k"])):
        # One decimal: 1.3M reads well, 1.234k does not.
        if count >= size and count % (size // 10) == 0:
            return f"{count // size}{unit}" if count % size == 0 else f"{count / size:.1f}{unit}"
    return str(count)
