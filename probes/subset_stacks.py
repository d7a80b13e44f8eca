"""Subset stacks: subsets of one shape side by side, so that a product serves them all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.errors import InvalidInputError

_STACK_BYTES = 2**27  # of float64 rows


@dataclass(frozen=True, eq=False)
class SubsetStack:
    """Subsets with equally many rows and classes.

    Attributes
    ----------
    subsets
        Their numbers, shape (s,).
    rows
        Rows of the feature matrix, shape (s, n).
    classes
        Sorted, shape (s, c).
    codes
        Places of the rows' classes in `classes`, shape (s, n), int64.
    """

    subsets: NDArray[np.intp]
    rows: NDArray[np.intp]
    classes: NDArray[Any]
    codes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.subsets)


def subset_stacks(
    y: NDArray[Any], subsets: Sequence[NDArray[np.intp]], *, dim: int
) -> Iterator[SubsetStack]:
    """Sort subsets into stacks whose rows take no more than 128 MiB.

    Parameters
    ----------
    y
        Class labels (n,).
    subsets
        Rows of each subset.
    dim
        Numbers in a row.

    Raises
    ------
    InvalidInputError
        If a subset has one class only.

    Examples
    --------
    >>> y = np.array(["x", "x", "y", "y", "z"])
    >>> stacks = subset_stacks(y, [np.array([0, 2]), np.array([1, 2, 3]), np.array([3, 4])], dim=9)
    >>> [(stack.subsets.tolist(), stack.classes.tolist()) for stack in stacks]
    [([0, 2], [['x', 'y'], ['y', 'z']]), ([1], [['x', 'y']])]
    """
    shapes: dict[tuple[int, int], list[tuple[int, NDArray[Any], NDArray[np.intp]]]]
    shapes = defaultdict(list)
    for i, rows in enumerate(subsets):
        classes, codes = np.unique(y[rows], return_inverse=True)
        if len(classes) < 2:
            only = f" ({classes[0]!r})" if len(classes) else ""
            raise InvalidInputError(
                f"subset {i} has {len(rows)} rows of {len(classes)} class{only}: a probe needs at "
                "least two classes"
            )
        shapes[len(rows), len(classes)].append((i, classes, codes))
    for (n, _), found in shapes.items():
        size = max(1, _STACK_BYTES // (8 * n * max(dim, n)))
        for start in range(0, len(found), size):
            part = found[start : start + size]
            yield SubsetStack(
                np.array([i for i, _, _ in part]),
                np.stack([subsets[i] for i, _, _ in part]),
                np.stack([classes for _, classes, _ in part]),
                np.stack([codes for _, _, codes in part]).astype(np.int64),
            )


def shared_origin(values: Tensor, subsets: Sequence[NDArray[np.intp]]) -> Tensor:
    """Return a point near all rows, shape (d,), float64: the mean of a subset.

    Where rows lie far from zero, products relative to it keep their digits.

    Examples
    --------
    >>> shared_origin(torch.tensor([[8.0], [10.0]]), [np.array([0, 1])])
    tensor([9.], dtype=torch.float64)
    """
    first = subsets[0] if len(subsets) else np.empty(0, np.intp)
    return values[torch.from_numpy(first)].double().mean(dim=0).nan_to_num()
