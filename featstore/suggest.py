"""Suggestions for names that do not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_ALL = 12


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return sentences that name the nearest options, and all of them where they are few.

    Examples
    --------
    >>> did_you_mean("resnet5O", ["vit_b_16", "resnet50"])
    'Did you mean resnet50? There are: resnet50, vit_b_16.'
    >>> did_you_mean("a", [])
    'There are none yet.'
    """
    known = sorted(set(options))
    if not known:
        return "There are none yet."
    near = difflib.get_close_matches(name, known, n=3)
    # A fragment such as "dinov2" is no close match of any long name, but it is in several.
    near += [full for full in known if name and name in full and full not in near][: 5 - len(near)]
    hint = f"Did you mean {' or '.join(near)}?" if near else ""
    if len(known) <= _ALL:
        return f"{hint} There are: {', '.join(known)}.".strip()
    return hint or f"There are {len(known)}, e.g. {', '.join(known[:5])}."
