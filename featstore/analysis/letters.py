"""Letters: which of many things cannot be told from each other, as groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError


def groups_alike(different: NDArray[np.bool_]) -> list[tuple[int, ...]]:
    """Find the largest groups in which no two members are different.

    Two things share a group exactly if they were not told apart.  The groups are the maximal
    cliques of that graph, by Bron and Kerbosch's algorithm with Tomita's pivot.

    Parameters
    ----------
    different
        Whether each two things were told apart, shape (r, r), symmetric; best thing first.

    Returns
    -------
    groups
        Each a tuple of places in ascending order, the group with the best member first.

    Raises
    ------
    InvalidInputError
        If the table is not square and symmetric.

    References
    ----------
    Piepho (2004), An algorithm for a letter-based representation of all-pairwise comparisons,
    Journal of Computational and Graphical Statistics 13; Tomita, Tanaka & Takahashi (2006),
    Theoretical Computer Science 363.

    Examples
    --------
    >>> first_and_last = np.zeros((3, 3), bool)
    >>> first_and_last[0, 2] = first_and_last[2, 0] = True
    >>> groups_alike(first_and_last)
    [(0, 1), (1, 2)]
    """
    if different.ndim != 2 or not np.array_equal(different, different.T):
        raise InvalidInputError(
            f"what is different from what must be a symmetric table, got shape {different.shape}"
        )
    alike = ~different
    np.fill_diagonal(alike, val=False)
    neighbours = [set(np.flatnonzero(row).tolist()) for row in alike]
    found: list[tuple[int, ...]] = []

    def extend(group: set[int], candidates: set[int], done: set[int]) -> None:
        if not candidates and not done:
            found.append(tuple(sorted(group)))
            return
        pivot = max(candidates | done, key=lambda i: len(neighbours[i] & candidates))
        for i in sorted(candidates - neighbours[pivot]):
            extend(group | {i}, candidates & neighbours[i], done & neighbours[i])
            candidates = candidates - {i}
            done = done | {i}

    if len(neighbours):
        extend(set(), set(range(len(neighbours))), set())
    return sorted(found)


def letters(groups: list[tuple[int, ...]], n: int) -> list[str]:
    """Name groups by letters, and each member by those of its groups.

    Parameters
    ----------
    groups
        Places of members, as `groups_alike` returns them.
    n
        Number of members.

    Examples
    --------
    >>> letters([(0, 1), (1, 2)], 3)
    ['a', 'ab', 'b']
    """
    marks = [_letter(place) for place in range(len(groups))]
    return [
        "".join(mark for mark, group in zip(marks, groups, strict=True) if i in group)
        for i in range(n)
    ]


def _letter(place: int) -> str:
    """Return a … z, then a1 … z1, and so on."""
    times, letter = divmod(place, 26)
    return chr(ord("a") + letter) + (str(times) if times else "")
