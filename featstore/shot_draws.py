"""ShotDraws: k rows of every class, drawn several times over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.id_order import id_hashes, sort_keys
from featstore.subset import Subset

Short = Literal["error", "all"]
_NAMED_CLASSES = 5


@dataclass(frozen=True)
class ShotDraw:
    """One draw of k rows per class.

    Attributes
    ----------
    shots
        k.
    draw
        Its number; with nested draws equal numbers share rows.
    subset
        The rows.
    """

    shots: int
    draw: int
    subset: Subset


@dataclass(frozen=True)
class ShotDraws:
    """How to draw k rows of every class, for several k, several times.

    Which rows a draw takes depends on their ids, the seed and the number of the draw alone: not
    on the order of the rows, the other classes, or how many draws and which k are asked for.

    Attributes
    ----------
    shots
        Rows per class, k.
    draws
        How often.
    nested
        Whether the rows of a smaller k are among those of a larger one of the same draw; else
        every k is drawn by itself.
    short
        A class with fewer than k rows is an ``"error"``, or gives ``"all"`` it has.
    seed
        Another seed, other draws.
    purpose
        What the draws are for: those of another purpose are other ones.

    Raises
    ------
    InvalidInputError
        If there is no k, one below 1, the same twice, or no draw.
    """

    shots: tuple[int, ...] = (1, 2, 4, 8, 16)
    draws: int = 20
    nested: bool = True
    short: Short = "error"
    seed: int = 0
    purpose: str = "draw"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shots", tuple(sorted(self.shots)))
        if not self.shots or self.shots[0] < 1 or len(set(self.shots)) < len(self.shots):
            raise InvalidInputError(
                f"shots are rows per class, each number once and at least 1, got {self.shots}"
            )
        if self.draws < 1:
            raise InvalidInputError(f"draws must be at least 1, got {self.draws}")
        if self.short not in ("error", "all"):
            raise InvalidInputError(f"short must be 'error' or 'all', got {self.short!r}")

    def suited_to(self, codes: NDArray[np.integer]) -> Self:
        """Return the draws that these rows allow, where nobody asked for other ones.

        Shots stay where more than half of the classes have more rows than that: else most draws
        would be one and the same.  A smaller class gives all it has.

        Parameters
        ----------
        codes
            Class of each row to draw from, shape (n,).

        Examples
        --------
        >>> plan = ShotDraws((1, 2, 4, 8)).suited_to(np.repeat([0, 1, 2], [3, 7, 9]))
        >>> plan.shots, plan.short
        ((1, 2, 4), 'all')
        >>> ShotDraws((1, 2)).suited_to(np.repeat([0, 1], [3, 7])).short
        'error'
        """
        counts = np.bincount(np.asarray(codes, np.intp))
        counts = counts[counts > 0]
        kept = tuple(k for k in self.shots if 2 * (counts > k).sum() > len(counts))
        kept = kept or self.shots[:1]
        return replace(self, shots=kept, short="all" if kept[-1] > counts.min() else self.short)

    def short_classes(self, codes: NDArray[np.integer]) -> dict[int, int]:
        """Shots -> classes that have rows, but fewer; only where there are such classes."""
        counts = np.bincount(np.asarray(codes, np.intp))
        short = {k: int(((counts > 0) & (counts < k)).sum()) for k in self.shots}
        return {k: number for k, number in short.items() if number}

    def draw(
        self,
        rows: NDArray[np.intp],
        codes: NDArray[np.integer],
        ids: NDArray[np.str_],
        *,
        classes: Sequence[str],
        origin: Mapping[str, Any] | None = None,
    ) -> list[ShotDraw]:
        """Draw.

        Parameters
        ----------
        rows
            Rows of the store to draw from, shape (n,).
        codes
            Class of each of these rows, shape (n,).
        ids
            Ids of all samples of the store.
        classes
            Names of the classes.
        origin
            What else the recipe should say: the target, the split.

        Returns
        -------
        draws
            For every k, ascending, the draws 0, 1, …  Classes without any row have none.

        Raises
        ------
        InvalidInputError
            If a class that occurs has fewer rows than the largest k, unless ``short="all"``.

        Examples
        --------
        >>> ids, codes = np.asarray(list("abcdefgh")), np.asarray([0, 0, 0, 0, 1, 1, 1, 1])
        >>> one, two = ShotDraws((1, 2), draws=1).draw(np.arange(8), codes, ids, classes=["x", "y"])
        >>> len(one.subset), len(two.subset), set(one.subset.rows) <= set(two.subset.rows)
        (2, 4, True)
        """
        places = np.asarray(codes, np.intp)
        self._check(places, classes)
        hashes = id_hashes(ids[rows].tolist())
        found = []
        for k in self.shots:
            for draw in range(self.draws):
                key = (self.seed, self.purpose, draw, "" if self.nested else k)
                chosen = first_of_each(places, sort_keys(hashes, *key), k)
                recipe = {
                    "kind": "k-shot",
                    "purpose": self.purpose,
                    "shots": k,
                    "draw": draw,
                    "nested": self.nested,
                    **(origin or {}),
                }
                subset = Subset.of(rows[chosen], ids, recipe=recipe, seed=self.seed)
                found.append(ShotDraw(k, draw, subset))
        return found

    def _check(self, codes: NDArray[np.intp], classes: Sequence[str]) -> None:
        counts = np.bincount(codes, minlength=len(classes))
        short = np.flatnonzero((counts > 0) & (counts < self.shots[-1]))
        if len(short) and self.short == "error":
            first = short[:_NAMED_CLASSES].tolist()
            named = ", ".join(f"{classes[code]} ({counts[code]})" for code in first)
            raise InvalidInputError(
                f"{len(short)} of {(counts > 0).sum()} classes have fewer than {self.shots[-1]} "
                f"rows to draw from: {named}{', …' if len(short) > len(first) else ''}; ask for "
                "fewer shots, or let such classes give all their rows (short='all', --use-all)"
            )


def first_of_each(
    codes: NDArray[np.intp], keys: NDArray[np.uint64], count: int
) -> NDArray[np.intp]:
    """Return the places of the `count` rows of each class with the least keys.

    Examples
    --------
    >>> first_of_each(np.array([0, 1, 0, 1]), np.array([5, 8, 3, 9], np.uint64), 1)
    array([2, 1])
    """
    order = np.lexsort((keys, codes))
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    rank = np.arange(len(order)) - np.repeat(starts, sizes)
    return order[rank < count]
