"""Ceiling: how much memory a view may take for its values."""

from __future__ import annotations

import re

from featstore.errors import InvalidInputError, MemoryCeilingError

_UNITS = {"": 1, "B": 1} | {
    f"{prefix}{unit}": base**power
    for unit, base in (("B", 1000), ("iB", 1024))
    for power, prefix in enumerate("KMGT", start=1)
}
_SIZE = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([A-Za-z]*)\s*")


def parse_bytes(size: int | str) -> int:
    """Return a number of bytes given as such or as text.

    Raises
    ------
    InvalidInputError
        If it is neither.

    Examples
    --------
    >>> parse_bytes("1.5 GB"), parse_bytes("64MiB"), parse_bytes(4096)
    (1500000000, 67108864, 4096)
    """
    if isinstance(size, int):
        if size < 1:
            raise InvalidInputError(f"a memory ceiling must be at least 1 byte, got {size}")
        return size
    units = {name.lower(): factor for name, factor in _UNITS.items()}
    match = _SIZE.fullmatch(size)
    if not match or match[2].lower() not in units:
        raise InvalidInputError(f"cannot read {size!r} as a size; write e.g. 800MB, 2GB or 2GiB")
    return parse_bytes(max(int(float(match[1]) * units[match[2].lower()]), 0))


def check_ceiling(needed: int, ceiling: int | None, what: str) -> None:
    """Raise `MemoryCeilingError` if `needed` bytes are more than the ceiling allows."""
    if ceiling is not None and needed > ceiling:
        raise MemoryCeilingError(
            f"{what} takes {needed / 1e6:.1f} MB, max_memory is {ceiling / 1e6:.1f} MB; go through "
            "batches(), take fewer rows, or raise max_memory"
        )
