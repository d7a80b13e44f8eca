"""Layers: the levels of a taxonomy, found in a table and checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from featstore.ancestors import named
from featstore.errors import InvalidInputError

Names = tuple[tuple[str, ...], ...]
"""Names of the classes of each level, finest first."""

Parents = tuple[tuple[tuple[int, ...], ...], ...]
"""Codes of the parents of the classes of each level but the last."""


def layers(
    levels: Sequence[str], cells: Sequence[Sequence[str]], *, multiple_parents: bool
) -> tuple[Names, Parents]:
    """Find the classes of each level and their parents, in the order of first appearance.

    Parameters
    ----------
    levels
        Names of the levels, finest first.
    cells
        One list per level, one entry per row: each row is a way up from a class.
    multiple_parents
        Whether a class may be on several ways up.

    Raises
    ------
    InvalidInputError
        If a class has two parents and `multiple_parents` is false.

    Examples
    --------
    >>> layers(["item", "part"], [["hat", "bag", "hat"], ["head", "hand", "head"]],
    ...        multiple_parents=False)
    ((('hat', 'bag'), ('head', 'hand')), (((0,), (1,)),))
    """
    names = tuple(tuple(dict.fromkeys(column)) for column in cells)
    parents = []
    for i, (fine, coarse) in enumerate(pairwise(cells)):
        code_of = {name: code for code, name in enumerate(names[i + 1])}
        found: dict[str, dict[str, int]] = {name: {} for name in names[i]}
        for child, parent in zip(fine, coarse, strict=True):
            found[child][parent] = code_of[parent]
        several = [name for name, above in found.items() if len(above) > 1]
        if several and not multiple_parents:
            first, second = list(found[several[0]])[:2]
            raise InvalidInputError(
                f"{levels[i]} {several[0]!r} has two parents at level {levels[i + 1]!r}: "
                f"{first!r} and {second!r}; if these are two classes with one name, give them "
                "different names; if a class may have several parents, say so with "
                "multiple_parents=True (--multiple-parents)"
            )
        parents.append(tuple(tuple(above.values()) for above in found.values()))
    return names, tuple(parents)


def check_layers(levels: tuple[str, ...], names: Names, parents: Parents) -> None:
    """Refuse what is no taxonomy.

    Raises
    ------
    InvalidInputError
        If levels or classes repeat, a level has no classes, or a class no parents.
    """
    if len(levels) < 2 or "" in levels or len(set(levels)) < len(levels):
        raise InvalidInputError(
            f"levels {levels}: a taxonomy needs at least two, each with its own name"
        )
    if not len(names) == len(levels) == len(parents) + 1 or not all(names):
        raise InvalidInputError(
            f"{len(levels)} levels with {len(names)} lists of classes and {len(parents)} of "
            "parents: every level has classes, all but the last parents"
        )
    for level, classes in zip(levels, names, strict=True):
        if twice := [name for name, count in Counter(classes).items() if count > 1]:
            raise InvalidInputError(f"level {level!r} lists {named(twice)} more than once")
    for i, (fine, coarse) in enumerate(pairwise(names)):
        if len(parents[i]) != len(fine):
            raise InvalidInputError(
                f"level {levels[i]!r} has {len(fine)} classes and {len(parents[i])} parents"
            )
        for name, codes in zip(fine, parents[i], strict=True):
            inside = all(0 <= code < len(coarse) for code in codes)
            if not codes or not inside or len(set(codes)) < len(codes):
                raise InvalidInputError(
                    f"{levels[i]} {name!r} has parents {list(codes)} of {len(coarse)} in level "
                    f"{levels[i + 1]!r}; at least one is needed, each once"
                )
