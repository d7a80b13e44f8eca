"""Changes: what happens when one run replaces another, from pairs of runs or comparisons."""

from __future__ import annotations

from collections.abc import Mapping

from featstore.analysis.compare import Comparison
from featstore.errors import InvalidInputError
from featstore.run import ProbeRun, compare

Change = Comparison | tuple[ProbeRun, ProbeRun]
"""What `featstore.compare` returned, or its two runs, the baseline first."""


def named_changes(changes: Change | Mapping[str, Change]) -> dict[str, Comparison]:
    """Compare what are still pairs of runs.

    Parameters
    ----------
    changes
        One, whose name is empty, or several by name.

    Raises
    ------
    InvalidInputError
        If there are none, one is something else, or the runs of a pair are of different targets.
    """
    named = dict(changes) if isinstance(changes, Mapping) else {"": changes}
    if not named:
        raise InvalidInputError("there is no pair of runs to show")
    return {str(name): compared(change) for name, change in named.items()}


def compared(change: Change) -> Comparison:
    """Return a comparison; a pair of runs is compared, without an interval of the difference."""
    return change if isinstance(change, Comparison) else compare(*run_pair(change), n_boot=0)


def run_pair(pair: object) -> tuple[ProbeRun, ProbeRun]:
    """Refuse what is no pair of runs."""
    if isinstance(pair, tuple | list) and len(pair) == 2:
        a, b = pair
        if isinstance(a, ProbeRun) and isinstance(b, ProbeRun):
            return a, b
    raise InvalidInputError(
        f"expected two runs, the baseline first: (a, b); got {type(pair).__name__}"
    )
