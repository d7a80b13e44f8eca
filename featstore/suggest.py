"""Suggestions for names that do not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return a sentence that names the nearest options, or all when they are few.

    Examples
    --------
    >>> did_you_mean("resnet5O", ["resnet50", "vit_b_16"])
    'Did you mean resnet50? There are: resnet50, vit_b_16.'
    >>> did_you_mean("a", [])
    'There are none yet.'
    """
    known = sorted(options)
    if not known:
        return "There are none yet."
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    shown = ", ".join(known[:12]) + (f", … ({len(known)} in all)" if len(known) > 12 else "")
    return f"{hint}There are: {shown}."
