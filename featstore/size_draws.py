"""SizeDraws: so many rows at random, for several sizes, drawn once or several times over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.id_order import id_hashes, sort_keys
from featstore.subset import Subset

Relation = Literal["nested", "disjoint", "independent"]


@dataclass(frozen=True)
class SizeDraw:
    """One draw of so many rows.

    Attributes
    ----------
    size
        Rows.
    draw
        Its number; of nested and disjoint draws, equal numbers belong together.
    subset
        The rows.
    """

    size: int
    draw: int
    subset: Subset


@dataclass(frozen=True)
class SizeDraws:
    """How to draw rows at random, for several sizes, once or several times.

    Uniform draws depend on the rows' ids, the seed and the number of the draw alone: not on the
    order of the rows, or on which sizes and how many draws are asked for.

    Attributes
    ----------
    sizes
        Numbers of rows.
    draws
        How often.
    relation
        ``"nested"``: the rows of a smaller size are among those of a larger one of the same draw.
        ``"disjoint"``: no two sizes of a draw share a row.  ``"independent"``: every size is drawn
        by itself.
    stratified
        Whether every class has its share of the rows, to the nearest whole number: by the divisor
        method of Sainte-Laguë (1910), which never takes a row back as the size grows, so that
        stratified draws are nested too.
    seed
        Another seed, other draws.

    Raises
    ------
    InvalidInputError
        If there is no size, one below 1, the same twice, or no draw.
    """

    sizes: tuple[int, ...]
    draws: int = 1
    relation: Relation = "nested"
    stratified: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple(sorted(self.sizes)))
        if not self.sizes or self.sizes[0] < 1 or len(set(self.sizes)) < len(self.sizes):
            raise InvalidInputError(
                f"sizes are numbers of rows, each once and at least 1, got {self.sizes}"
            )
        if self.draws < 1:
            raise InvalidInputError(f"draws must be at least 1, got {self.draws}")
        if self.relation not in ("nested", "disjoint", "independent"):
            raise InvalidInputError(
                f"relation must be 'nested', 'disjoint' or 'independent', got {self.relation!r}"
            )

    def draw(
        self,
        rows: NDArray[np.intp],
        ids: NDArray[np.str_],
        *,
        codes: NDArray[np.integer] | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> list[SizeDraw]:
        """Draw.

        Parameters
        ----------
        rows
            Rows of the store to draw from, shape (n,).
        ids
            Ids of all samples of the store.
        codes
            Class of each of `rows`, shape (n,); for stratified draws.
        origin
            What else the recipe should say: the split, the target.

        Returns
        -------
        draws
            For every size, ascending, the draws 0, 1, …

        Raises
        ------
        InvalidInputError
            If there are too few rows, or no classes to stratify by.

        Examples
        --------
        >>> ids = np.asarray(list("abcdefgh"))
        >>> two, five = SizeDraws((2, 5)).draw(np.arange(8), ids)
        >>> len(two.subset), len(five.subset), set(two.subset.rows) <= set(five.subset.rows)
        (2, 5, True)
        """
        needed = sum(self.sizes) if self.relation == "disjoint" else self.sizes[-1]
        if needed > len(rows):
            raise InvalidInputError(
                f"{needed} rows cannot be drawn from {len(rows)}; ask for smaller "
                f"{'or fewer disjoint ' if self.relation == 'disjoint' else ''}sizes"
            )
        if self.stratified and codes is None:
            raise InvalidInputError("stratified draws need the class of every row")
        hashes = id_hashes(ids[rows].tolist())
        found = []
        for number, size in enumerate(self.sizes):
            for draw in range(self.draws):
                key = (self.seed, "size", draw, size if self.relation == "independent" else "")
                keys = sort_keys(hashes, *key)
                order = _proportional_order(codes, keys) if self.stratified else np.argsort(keys)
                first = sum(self.sizes[:number]) if self.relation == "disjoint" else 0
                recipe = {
                    "kind": "stratified" if self.stratified else "uniform",
                    "size": size,
                    "draw": draw,
                    "relation": self.relation,
                    **({"after": first} if self.relation == "disjoint" else {}),
                    **(origin or {}),
                }
                chosen = rows[order[first : first + size]]
                found.append(
                    SizeDraw(size, draw, Subset.of(chosen, ids, recipe=recipe, seed=self.seed))
                )
        return found


def _proportional_order(
    codes: NDArray[np.integer] | None, keys: NDArray[np.uint64]
) -> NDArray[np.intp]:
    """Return an order whose every beginning holds all classes in proportion.

    Sainte-Laguë gives the next seat to the class with the largest n / (2 seats + 1): that sorts
    all rows by (2 rank + 1) / n, with the rank of a row in its class, in random order.
    """
    places = np.asarray(codes, np.intp)
    order = np.lexsort((keys, places))
    _, starts, counts = np.unique(places[order], return_index=True, return_counts=True)
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order)) - np.repeat(starts, counts)
    size = np.empty(len(order), np.intp)
    size[order] = np.repeat(counts, counts)
    return np.lexsort((keys, (2 * rank + 1) / size))
