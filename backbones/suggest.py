"""Near names, for errors about unknown ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], *, n: int = 5) -> str:
    """End a message with the known names closest to `name`, or with all when they are few.

    Examples
    --------
    >>> did_you_mean("resnet5O", ["resnet50", "vgg16"])
    "did you mean 'resnet50'?"
    >>> did_you_mean("x", ["resnet50", "vgg16"])
    "known: 'resnet50', 'vgg16'"
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=n)
    # A fragment such as "dinov2" is no close match of any long name, but it is in several.
    near += [full for full in names if name and name in full and full not in near][: n - len(near)]
    if near:
        return f"did you mean {_quoted(near, ' or ')}?"
    if len(names) <= 20:
        return f"known: {_quoted(names, ', ') or 'none'}"
    return f"there are {len(names)}, e.g. {_quoted(names[:n], ', ')}"


def _quoted(names: Iterable[str], separator: str) -> str:
    return separator.join(map(repr, names))
