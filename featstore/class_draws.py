"""ClassDraws: sets of few classes with many rows, or many classes with few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.id_order import id_hashes, sort_keys
from featstore.shot_draws import first_of_each
from featstore.subset import Subset


@dataclass(frozen=True)
class ClassDraw:
    """One set.

    Attributes
    ----------
    n_classes, per_class
        How many classes, and rows of each.
    subset
        The rows.
    """

    n_classes: int
    per_class: int
    subset: Subset


@dataclass(frozen=True)
class ClassDraws:
    """How to draw sets of so many classes with so many rows of each.

    The sets of appendix A.7 of Cole et al. (CVPR 2022), ``((200, 500), (500, 200), (1000, 100))``,
    have equal sizes and differ in diversity.  Classes and rows are taken in one random order each,
    so the classes of a set are among those of one with more classes, and a class's rows among its
    rows in a set with more rows per class.  Classes with fewer rows than a set asks for are passed
    over in that set; where that happens, its classes need not be among those of a larger set.

    Attributes
    ----------
    sets
        Pairs of the number of classes and the rows of each.
    seed
        Another seed, other classes and rows.

    Raises
    ------
    InvalidInputError
        If there is no set, or a number below 1.
    """

    sets: tuple[tuple[int, int], ...]
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "sets", tuple((int(c), int(n)) for c, n in self.sets))
        numbers = [number for pair in self.sets for number in pair]
        if not numbers or min(numbers) < 1 or len(set(self.sets)) < len(self.sets):
            raise InvalidInputError(
                "sets are pairs (classes, rows of each), each once and at least (1, 1), got "
                f"{self.sets}"
            )

    def draw(
        self,
        rows: NDArray[np.intp],
        codes: NDArray[np.integer],
        ids: NDArray[np.str_],
        *,
        classes: Sequence[str],
        origin: Mapping[str, Any] | None = None,
    ) -> list[ClassDraw]:
        """Draw.

        Parameters
        ----------
        rows, codes, ids, classes, origin
            As in `ShotDraws.draw`.

        Raises
        ------
        InvalidInputError
            If too few classes have enough rows.

        Examples
        --------
        >>> ids, codes = np.asarray(list("abcdefgh")), np.asarray([0, 0, 0, 0, 1, 1, 1, 1])
        >>> plan = ClassDraws(((1, 4), (2, 2)))
        >>> drawn = plan.draw(np.arange(8), codes, ids, classes=["x", "y"])
        >>> [np.bincount(codes[one.subset.rows], minlength=2).tolist() for one in drawn]
        [[4, 0], [2, 2]]
        """
        places = np.asarray(codes, np.intp)
        counts = np.bincount(places, minlength=len(classes))
        keys = sort_keys(id_hashes(ids[rows].tolist()), self.seed, "rows of classes")
        class_order = np.argsort(sort_keys(id_hashes(classes), self.seed, "classes"))
        found = []
        for n_classes, per_class in self.sets:
            enough = class_order[counts[class_order] >= per_class]
            if len(enough) < n_classes:
                raise InvalidInputError(
                    f"{len(enough)} of {len(classes)} classes have {per_class} rows to draw from, "
                    f"and {n_classes} are asked for; ask for fewer classes or fewer rows of each"
                )
            taken = np.flatnonzero(np.isin(places, enough[:n_classes]))
            chosen = taken[first_of_each(places[taken], keys[taken], per_class)]
            recipe = {
                "kind": "classes",
                "classes": n_classes,
                "per_class": per_class,
                "passed_over": len(classes) - len(enough),
                **(origin or {}),
            }
            subset = Subset.of(rows[chosen], ids, recipe=recipe, seed=self.seed)
            found.append(ClassDraw(n_classes, per_class, subset))
        return found
