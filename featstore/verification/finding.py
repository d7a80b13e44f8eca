"""Finding: something in a store that is not as it was written."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["damage", "leftover"]

#: What reading a damaged file or a damaged group of arrays can raise, beside errors of ours.
UNREADABLE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def is_damage(error: OSError) -> bool:
    """Whether an error says that the bytes are lost, and not that we may not or cannot see them."""
    error = _cause(error)
    return isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError) or (
        error.errno == errno.EIO
    )


def unreadable(error: OSError) -> str:
    """Say that something cannot be read, and why."""
    error = _cause(error)
    return f"cannot be read: {error.strerror or error}"


def unreadable_place(error: OSError, root: Path) -> str:
    """Return what cannot be read, relative to a folder; the folder itself if nobody says."""
    named = Path(str(_cause(error).filename or root))
    return named.relative_to(root).as_posix() if named.is_relative_to(root) else "."


def _cause(error: OSError) -> OSError:
    """Return what the system said."""
    return error.__cause__ if isinstance(error.__cause__, OSError) else error


@dataclass(frozen=True)
class Finding:
    """Something in a store that is not as it was written.

    Attributes
    ----------
    place
        File or folder that it is about, relative to the store.
    problem
        What is wrong with it.
    advice
        What to do about it, step by step; commands where they are known.
    severity
        ``"damage"``: what the store promises does not hold.  ``"leftover"``: a file that the store
        does not need; nothing that is read depends on it.
    feature, shard
        Where it is about a feature, and about one of its shards.
    repairable
        Whether `repair` can prepare the feature for being extracted again in part.
    """

    place: str
    problem: str
    advice: tuple[str, ...]
    severity: Severity = "damage"
    feature: str | None = None
    shard: int | None = None
    repairable: bool = False
