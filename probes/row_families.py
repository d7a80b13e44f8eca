"""Row families: subsets of one matrix that can share the products between their rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class RowFamily:
    """Rows whose Gram matrix holds those of several subsets.

    Attributes
    ----------
    rows
        Ascending, shape (m,).
    members
        Numbers of the subsets, each of which lies within `rows`.
    """

    rows: NDArray[np.intp]
    members: tuple[int, ...]


def row_families(subsets: Sequence[NDArray[np.intp]]) -> list[RowFamily]:
    """Group subsets so that the least is computed.

    Nested draws are a family each: its largest subset holds the others.  Where subsets were drawn
    so densely from few rows that one Gram matrix of all of these is less than one for each family,
    there is one family only.

    Parameters
    ----------
    subsets
        Row numbers, shape (n_i,) each, without repetition.

    Examples
    --------
    >>> subsets = [np.array([3]), np.array([3, 8]), np.array([5, 90])]
    >>> [(family.rows.tolist(), family.members) for family in row_families(subsets)]
    [([3, 8], (1, 0)), ([5, 90], (2,))]
    """
    owners: dict[int, list[int]] = defaultdict(list)  # row -> the largest subsets that have it
    members: dict[int, list[int]] = {}
    sets: dict[int, frozenset[int]] = {}
    for i in sorted(range(len(subsets)), key=lambda i: -len(subsets[i])):
        own = frozenset(subsets[i].tolist())
        first = next(iter(own), None)
        owner = None if first is None else next((o for o in owners[first] if own <= sets[o]), None)
        if owner is not None:
            members[owner].append(i)
            continue
        members[i], sets[i] = [i], own
        for row in own:
            owners[row].append(i)
    separate = sum(len(own) ** 2 for own in sets.values())
    if len(sets) > 1 and len(owners) ** 2 <= separate:
        everything = np.sort(np.fromiter(owners, np.intp))
        return [RowFamily(everything, tuple(range(len(subsets))))]
    return [RowFamily(np.sort(subsets[i]), tuple(found)) for i, found in members.items()]
