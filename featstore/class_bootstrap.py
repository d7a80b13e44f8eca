"""The bootstrap of means over classes: rows drawn class by class, or classes drawn whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from featstore.class_groups import ClassGroups


def row_draws_of_means(
    kinds: NDArray[np.integer],
    values: Sequence[float],
    groups: ClassGroups,
    *,
    n_boot: int,
    seed: int,
) -> NDArray[np.float64]:
    """Mean over the classes of each group, each class's rows drawn with replacement.

    Classes with equally many rows of every kind need not be told apart: the rows that all of them
    draw together are multinomial.  Ten rows to a class leave eleven accuracies, so that the work
    grows neither with the rows nor, much, with the classes.

    Parameters
    ----------
    kinds
        Rows of each class by kind, e.g. wrong and right, shape (c, k).
    values
        What a row of each kind counts, length k.
    groups
        Of the classes.
    n_boot, seed
        Number of draws, and their seed.

    Returns
    -------
    samples
        Shape (g, n_boot); classes without rows are left out, NaN for a group without others.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"class": ["elk", "wren"], "kind": ["mammal", "bird"]})
    >>> groups = ClassGroups.from_frame(table, "kind", ["elk", "wren"])
    >>> wrong_and_right = np.array([[0, 10], [5, 5]])
    >>> samples = row_draws_of_means(wrong_and_right, [0, 1], groups, n_boot=500, seed=0)
    >>> print(samples.mean(axis=1).round(1), samples.std(axis=1).round(2))
    [1.  0.5] [0.   0.16]
    """
    samples = np.full((len(groups.groups), n_boot), np.nan)
    rows = kinds.sum(axis=1)
    for group, (codes, generator) in enumerate(_groups(groups, seed)):
        known = codes[rows[codes] > 0]
        if known.size:
            alike, times = np.unique(kinds[known], axis=0, return_counts=True)
            n = alike.sum(axis=1)
            draws = generator.multinomial(times * n, alike / n[:, None], size=(n_boot, len(alike)))
            samples[group] = (draws @ np.asarray(values, np.float64)) @ (1 / n) / known.size
    return samples


def class_draws_of_means(
    values: NDArray[np.float64], groups: ClassGroups, *, n_boot: int, seed: int
) -> NDArray[np.float64]:
    """Mean over the classes of each group, drawn with replacement within the group.

    Parameters
    ----------
    values
        One per class, shape (c,); NaN where a class has no test rows.
    groups
        Of the classes.
    n_boot, seed
        Number of draws, and their seed.

    Returns
    -------
    samples
        Shape (g, n_boot); NaN for a group with fewer than two classes that have a value.

    References
    ----------
    Davison & Hinkley (1997), Bootstrap methods and their application, section 3.8: of nested
    samples, drawing the outer units whole comes closest to the variance.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"class": ["elk", "wren", "crow"], "kind": ["mammal", "bird", "bird"]})
    >>> groups = ClassGroups.from_frame(table, "kind", ["elk", "wren", "crow"])
    >>> print(class_draws_of_means(np.array([0.5, 0.5, 0.5]), groups, n_boot=2, seed=0))
    [[nan nan]
     [0.5 0.5]]
    """
    samples = np.full((len(groups.groups), n_boot), np.nan)
    for group, (codes, generator) in enumerate(_groups(groups, seed)):
        known = values[codes][~np.isnan(values[codes])]
        if len(known) > 1:
            # Classes with the same value need not be told apart either.
            distinct, times = np.unique(known, return_counts=True)
            draws = generator.multinomial(len(known), times / len(known), n_boot)
            samples[group] = draws @ distinct / len(known)
    return samples


def _groups(
    groups: ClassGroups, seed: int
) -> Iterator[tuple[NDArray[np.intp], np.random.Generator]]:
    """Codes of the classes of each group, and a generator of its own."""
    members = groups.belongs.T.tocsr()
    for group, generator in enumerate(np.random.default_rng(seed).spawn(len(groups.groups))):
        codes = members.indices[members.indptr[group] : members.indptr[group + 1]]
        yield codes.astype(np.intp), generator
