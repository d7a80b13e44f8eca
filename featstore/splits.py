"""Names of splits: what people call them, and what they are called in a store."""

from __future__ import annotations

_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def is_split(name: str) -> bool:
    """Whether a folder's name says that it is a split."""
    return name.lower() in _NAMES


def canonical_split(name: str) -> str:
    """Return train, val or test for their usual names, and any other name as it is.

    Examples
    --------
    >>> canonical_split("Validation"), canonical_split("fold 3")
    ('val', 'fold 3')
    """
    return _NAMES.get(name.strip().lower(), name.strip())
