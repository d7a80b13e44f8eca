"""Kinship: who descends from whom in a layered graph of classes, as sparse matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Parents = Sequence[Sequence[int]]
"""Codes of the parents of each class of one level, in the level above."""


def descent(parents: Parents, n_coarse: int) -> csr_array:
    """Matrix of one step up.

    Parameters
    ----------
    parents
        For each of f classes, the codes of its parents.
    n_coarse
        Number m of classes in the level above.

    Returns
    -------
    step
        Shape (f, m), bool: whether the column is a parent of the row.

    Examples
    --------
    >>> print(descent([(0,), (0, 1)], 2).toarray().astype(int))
    [[1 0]
     [1 1]]
    """
    ends = np.cumsum([0, *map(len, parents)])
    indices = np.fromiter((code for codes in parents for code in codes), np.intp, ends[-1])
    return csr_array((np.ones(ends[-1], bool), indices, ends), shape=(len(parents), n_coarse))


def occurring(belongs: csr_array) -> tuple[NDArray[np.intp], csr_array]:
    """Leave out the columns of classes that are nobody's ancestor.

    Parameters
    ----------
    belongs
        Shape (c, m), bool: whether the column is an ancestor of the row.

    Returns
    -------
    used
        The other columns, in the order in which they appear going down the rows.
    belongs
        With these columns, in this order.

    Examples
    --------
    >>> used, left = occurring(csr_array(np.array([[0, 0, 1], [1, 0, 1]], bool)))
    >>> print(used, left.toarray().astype(int).tolist())
    [2 0] [[1, 0], [1, 1]]
    """
    belongs = csr_array(belongs)
    belongs.sort_indices()
    used, first = np.unique(belongs.indices, return_index=True)
    columns = used[np.argsort(first)].astype(np.intp)
    return columns, csr_array(belongs[:, columns])


def concepts(names: Sequence[Sequence[str]], parents: Sequence[Parents]) -> list[NDArray[np.intp]]:
    """Give a number to each node of a hierarchy of which the levels are cuts.

    A class that has no parent between two levels stands in both: it is there under one name, and
    one is the parent of the other.  Such classes are one node.

    Parameters
    ----------
    names
        Of the classes of each level, finest first.
    parents
        Of the classes of each level but the last.

    Returns
    -------
    nodes
        For each level the number of the node of each class.

    Examples
    --------
    >>> names = [["wren", "robin", "bat"], ["bird", "bat"]]
    >>> [nodes.tolist() for nodes in concepts(names, [[(0,), (0,), (1,)]])]
    [[0, 1, 2], [3, 2]]
    """
    nodes = [np.arange(len(names[0]))]
    count = len(names[0])
    for fine, coarse, up in zip(names, names[1:], parents, strict=False):
        below = nodes[-1]
        same = {
            parent: int(below[child])
            for child, codes in enumerate(up)
            for parent in codes
            if fine[child] == coarse[parent]
        }
        fresh = iter(range(count, count + len(coarse)))
        nodes.append(np.array([same[c] if c in same else next(fresh) for c in range(len(coarse))]))
        count += len(coarse) - len(same)
    return nodes


def heights(nodes: Sequence[NDArray[np.intp]], parents: Sequence[Parents]) -> NDArray[np.intp]:
    """Height of every node: the longest way down to one without children.

    Parameters
    ----------
    nodes
        As `concepts` returns them.
    parents
        Of the classes of each level but the last.

    Returns
    -------
    height
        One number per node; 0 for those without children.

    Examples
    --------
    >>> names = [["wren", "bat"], ["bird", "bat"], ["animal"]]
    >>> parents = [[(0,), (1,)], [(0,), (0,)]]
    >>> print(heights(concepts(names, parents), parents))  # wren, bat, bird, animal
    [0 0 1 2]
    """
    height = np.zeros(1 + max(int(level.max()) for level in nodes), np.intp)
    for below, above, up in zip(nodes, nodes[1:], parents, strict=False):
        for child, codes in zip(below, up, strict=True):
            for parent in above[list(codes)]:
                if parent != child:
                    height[parent] = max(height[parent], height[child] + 1)
    return height
