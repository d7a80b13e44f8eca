"""Parents: a hierarchy given as a list of parents becomes levels by depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import takewhile
from pathlib import Path

from featstore.ancestors import named, read_ancestors
from featstore.errors import InvalidInputError
from featstore.taxonomy import Taxonomy


def from_parents(
    parents: Mapping[str, Sequence[str]], classes: Sequence[str] | None = None
) -> Taxonomy:
    """Cut a hierarchy at every depth, as Cole et al. (2022), C.3, do with WordNet.

    The deepest leaves are merged into their parents, and again, until one class is left or the
    roots are.  A level is called Depth k, k being the depth of its deepest class; a root has
    depth 0.  A class less deep than k stays as it is.

    Where nodes have several parents, depth is the length of the longest way to a root, so that
    all parents of a node are less deep than it; a merged class belongs to all of them.  A parent
    that is above another parent of the node is left out: it adds nothing.

    Parameters
    ----------
    parents
        Node -> its parents, the primary one first.  Nodes that are only named as parents are
        roots.
    classes
        The finest level, in the order of their codes; nodes above others are allowed.  By default
        all nodes that are nobody's parent.

    Returns
    -------
    taxonomy
        Levels from Depth k, k the depth of the deepest class, down to Depth 0.  From the first
        level with one class only, all are left out: everything is right there.

    Raises
    ------
    InvalidInputError
        If a class is no node, a node is its own ancestor, or there is nothing to merge.

    Examples
    --------
    >>> taxonomy = from_parents({"wren": ["bird"], "robin": ["bird"], "bird": ["animal"],
    ...                          "bat": ["animal"], "animal": [], "oak": ["plant"]})
    >>> for level, names in zip(taxonomy.levels, taxonomy.names):
    ...     print(level, names)
    Depth 2 ('wren', 'robin', 'bat', 'oak')
    Depth 1 ('bird', 'bat', 'oak')
    Depth 0 ('animal', 'plant')
    """
    if classes is None:
        above = {parent for ups in parents.values() for parent in ups}
        classes = [node for node in parents if node not in above]
    known = _closure(parents, classes)
    depth = _depths(known)
    known = _nearest(known, depth)
    deepest = max((depth[name] for name in classes), default=0)
    names: list[tuple[str, ...]] = [tuple(classes)]
    steps: list[tuple[tuple[int, ...], ...]] = []
    for k in reversed(range(deepest)):
        merged = [known[name] if depth[name] > k else (name,) for name in names[-1]]
        coarse = tuple(dict.fromkeys(name for ups in merged for name in ups))
        code_of = {name: code for code, name in enumerate(coarse)}
        steps.append(tuple(tuple(code_of[name] for name in ups) for ups in merged))
        names.append(coarse)
    kept = len(list(takewhile(lambda level: len(level) > 1, names)))
    if kept < 2:
        raise InvalidInputError(
            f"{len(classes)} classes with {len(known)} nodes: nothing can be merged without "
            "merging everything, so there is no coarser level"
        )
    levels = tuple(f"Depth {deepest - i}" for i in range(kept))
    return Taxonomy(levels, tuple(names[:kept]), tuple(steps[: kept - 1]))


def parent_table(path: str | Path, classes: Sequence[str] | None = None) -> Taxonomy:
    """Read a CSV of two columns, a node and its parent, and cut it as `from_parents` does.

    Parameters
    ----------
    path
        With a header; a node with several parents has a row for each, the primary one first; the
        parent of a root is left empty, or it has no row.
    classes
        See `from_parents`.

    Raises
    ------
    InvalidInputError
        If the table has not two columns, or as `from_parents`.
    """
    frame = read_ancestors(path)
    if len(frame.columns) != 2:
        raise InvalidInputError(
            f"{path} has columns {list(frame.columns)}; a table of parents has two: node, parent"
        )
    parents: dict[str, list[str]] = {}
    for node, parent in zip(*(frame.iloc[:, i].str.strip() for i in (0, 1)), strict=True):
        ups = parents.setdefault(node, [])
        if parent and parent not in ups:
            ups.append(parent)
    return from_parents(parents, classes)


def _closure(
    parents: Mapping[str, Sequence[str]], classes: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Restrict to the classes and their ancestors."""
    roots = {parent for ups in parents.values() for parent in ups}
    if strangers := [name for name in classes if name not in parents and name not in roots]:
        raise InvalidInputError(
            f"{len(strangers)} of {len(classes)} classes are not in the hierarchy: "
            f"{named(strangers)}"
        )
    known: dict[str, tuple[str, ...]] = {}
    pending = list(classes)
    while pending:
        node = pending.pop()
        if node not in known:
            known[node] = tuple(dict.fromkeys(parents.get(node, ())))
            pending += known[node]
    return known


def _nearest(
    parents: Mapping[str, Sequence[str]], depth: Mapping[str, int]
) -> dict[str, tuple[str, ...]]:
    """Leave out parents that are above other parents of the same node."""
    above: dict[str, frozenset[str]] = {}
    nearest: dict[str, tuple[str, ...]] = {}
    for node in sorted(parents, key=depth.__getitem__):
        beyond = frozenset().union(*(above[parent] for parent in parents[node]))
        nearest[node] = tuple(parent for parent in parents[node] if parent not in beyond)
        above[node] = beyond.union(parents[node])
    return nearest


def _depths(parents: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Length of the longest way to a root."""
    depth: dict[str, int] = {}
    try:
        for node in TopologicalSorter(parents).static_order():
            depth[node] = max((depth[parent] + 1 for parent in parents[node]), default=0)
    except CycleError as error:
        raise InvalidInputError(
            f"the hierarchy goes in circles: {' -> '.join(error.args[1])}; a node cannot be its "
            "own ancestor"
        ) from error
    return depth
