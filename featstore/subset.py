"""Subset: rows of a store, and how they came to be chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore import spec


@dataclass(frozen=True, eq=False)
class Subset:
    """Rows that were drawn once and mean the same for every feature and probe.

    Attributes
    ----------
    rows
        Rows of the store, ascending, shape (n,).
    recipe
        How they were chosen, in words and numbers that JSON knows.
    seed
        Of the draw.
    digest
        Sha256 of recipe, seed and the ids of the rows: the same in every store that holds the
        same samples, in whatever order.
    """

    rows: NDArray[np.intp]
    recipe: Mapping[str, Any]
    seed: int
    digest: str

    @classmethod
    def of(
        cls, rows: NDArray[np.intp], ids: NDArray[np.str_], *, recipe: Mapping[str, Any], seed: int
    ) -> Subset:
        """Name rows by their content.

        Parameters
        ----------
        rows
            Rows of the store, in any order.
        ids
            Ids of all samples of the store.
        recipe, seed
            See `Subset`.

        Examples
        --------
        >>> ids = np.asarray(["a", "b", "c"])
        >>> how = {"kind": "by hand"}
        >>> one = Subset.of(np.asarray([2, 0]), ids, recipe=how, seed=0)
        >>> other = Subset.of(np.asarray([1, 0]), ids[[0, 2, 1]], recipe=how, seed=0)
        >>> one.rows, one.digest == other.digest
        (array([0, 2]), True)
        """
        rows = np.sort(rows)
        content = {"recipe": dict(recipe), "seed": seed, "ids": sorted(ids[rows].tolist())}
        return cls(rows, dict(recipe), seed, spec.digest(content))

    def __len__(self) -> int:
        return len(self.rows)
