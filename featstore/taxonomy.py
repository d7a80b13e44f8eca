"""Taxonomy: classes at several levels of granularity, each level a coarsening of the one before."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.ancestors import ancestor_cells, named, read_ancestors
from featstore.errors import FeatureNotFoundError, InvalidInputError

_NAMED_IN_ERRORS = 5


@dataclass(frozen=True)
class Taxonomy:
    """A layered graph of classes from fine to coarse.

    Every class now has exactly one parent; `parents` holds tuples so that a class may have
    several one day (Places365 has such classes).

    Attributes
    ----------
    levels
        Names of the levels, finest first, e.g. ``("species", "genus", ..., "kingdom")``.
    names
        Class names of each level, unique within it.
    parents
        ``parents[i][j]``: codes at level i + 1 of the parents of class j of level i; one level
        fewer than `levels`.

    Raises
    ------
    InvalidInputError
        If levels or classes repeat, or a class has not exactly one parent in the next level.
    """

    levels: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    parents: tuple[tuple[tuple[int, ...], ...], ...]

    def __post_init__(self) -> None:
        if len(self.levels) < 2 or "" in self.levels or len(set(self.levels)) < len(self.levels):
            raise InvalidInputError(
                f"levels {self.levels}: a taxonomy needs at least two, each with its own name"
            )
        if not len(self.names) == len(self.levels) == len(self.parents) + 1:
            raise InvalidInputError(
                f"{len(self.levels)} levels with {len(self.names)} lists of classes and "
                f"{len(self.parents)} of parents: every level has classes, all but the last parents"
            )
        for level, names in zip(self.levels, self.names, strict=True):
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise InvalidInputError(f"level {level!r} lists {named(twice)} more than once")
        for i, parents in enumerate(self.parents):
            fine, coarse = self.names[i : i + 2]
            if len(parents) != len(fine):
                raise InvalidInputError(
                    f"level {self.levels[i]!r} has {len(fine)} classes and {len(parents)} parents"
                )
            for name, codes in zip(fine, parents, strict=True):
                if len(codes) != 1 or not 0 <= codes[0] < len(coarse):
                    raise InvalidInputError(
                        f"{self.levels[i]} {name!r} has parents {list(codes)} of {len(coarse)} in "
                        f"level {self.levels[i + 1]!r}; exactly one is needed"
                    )

    @classmethod
    def from_csv(cls, path: str | Path) -> Taxonomy:
        """Read a table with a header, see `from_frame`; all cells are text, also ``NA`` and 007.

        Raises
        ------
        InvalidInputError
            If the file is no such table.
        """
        try:
            return cls.from_frame(read_ancestors(path))
        except InvalidInputError as error:
            error.add_note(f"in the taxonomy {path}")
            raise

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Taxonomy:
        """Build from one row per finest class.

        Parameters
        ----------
        frame
            First column the finest class, then its ancestors level by level; the column names
            are the levels.  Cells are taken as text without surrounding blanks.

        Raises
        ------
        InvalidInputError
            If there are fewer than two columns or no rows, a cell is blank, or a class has two
            different parents.

        Examples
        --------
        >>> frame = pd.DataFrame({"item": ["hat", "shirt", "pants"],
        ...                       "part": ["head", "body", "body"]})
        >>> Taxonomy.from_frame(frame).classes("part")
        ('head', 'body')
        """
        levels, cells = ancestor_cells(frame)
        names = tuple(tuple(dict.fromkeys(column)) for column in cells)
        parents = tuple(
            _parents(fine, coarse, names=names[i + 1], levels=levels[i : i + 2])
            for i, (fine, coarse) in enumerate(pairwise(cells))
        )
        return cls(levels, names, parents)

    def position(self, level: str) -> int:
        """Place of a level in `levels`, 0 for the finest.

        Raises
        ------
        FeatureNotFoundError
            If there is no such level.
        """
        if level not in self.levels:
            raise FeatureNotFoundError(
                f"the taxonomy has no level {level!r}; its levels are, finest first, "
                f"{', '.join(self.levels)}"
            )
        return self.levels.index(level)

    def classes(self, level: str) -> tuple[str, ...]:
        """Names of the classes at a level; errors as `position`."""
        return self.names[self.position(level)]

    def coarsen(
        self, classes: Sequence[str], level: str, *, of: str | None = None
    ) -> tuple[tuple[str, ...], NDArray[np.intp]]:
        """Map the classes of a target to the classes they belong to at a coarser level.

        Parameters
        ----------
        classes
            Names of c classes, in the order of their codes.
        level
            The coarse level.
        of
            The level that `classes` belong to; the finest by default.

        Returns
        -------
        coarse
            Names of the coarse classes that occur, in the order of first appearance.
        codes
            Shape (c,): position in `coarse` of each class.

        Raises
        ------
        FeatureNotFoundError
            If there is no such level.
        InvalidInputError
            If classes are missing from the taxonomy, or `level` is finer than `of`.

        Examples
        --------
        >>> frame = pd.DataFrame({"item": ["hat", "shirt", "pants"],
        ...                       "part": ["head", "body", "body"]})
        >>> coarse, codes = Taxonomy.from_frame(frame).coarsen(["shirt", "hat"], "part")
        >>> print(coarse, codes)
        ('body', 'head') [0 1]
        """
        start, end = self.position(of or self.levels[0]), self.position(level)
        if end < start:
            raise InvalidInputError(
                f"level {level!r} is finer than {self.levels[start]!r}: classes can only be "
                f"coarsened; the levels are, finest first, {', '.join(self.levels)}"
            )
        code_of = {name: code for code, name in enumerate(self.names[start])}
        if missing := [name for name in classes if name not in code_of]:
            hints = [self._near(name, start) for name in missing[:_NAMED_IN_ERRORS]]
            more = ", ..." if len(missing) > _NAMED_IN_ERRORS else ""
            raise InvalidInputError(
                f"{len(missing)} of {len(classes)} classes are missing from level "
                f"{self.levels[start]!r} of the taxonomy: {', '.join(hints)}{more}"
            )
        ancestors = [code_of[name] for name in classes]
        for parents in self.parents[start:end]:
            ancestors = [parents[code][0] for code in ancestors]
        position = {code: i for i, code in enumerate(dict.fromkeys(ancestors))}
        coarse = tuple(self.names[end][code] for code in position)
        return coarse, np.array([position[code] for code in ancestors], np.intp)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per finest class; the inverse of `from_frame`."""
        columns = {self.levels[0]: list(self.names[0])}
        for level in self.levels[1:]:
            coarse, codes = self.coarsen(self.names[0], level)
            columns[level] = [coarse[code] for code in codes]
        return pd.DataFrame(columns)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able lists."""
        return {
            "levels": list(self.levels),
            "names": [list(names) for names in self.names],
            "parents": [[list(codes) for codes in parents] for parents in self.parents],
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Taxonomy:
        """Rebuild a taxonomy that `to_json` wrote."""
        return cls(
            levels=tuple(fields["levels"]),
            names=tuple(tuple(names) for names in fields["names"]),
            parents=tuple(
                tuple(tuple(codes) for codes in parents) for parents in fields["parents"]
            ),
        )

    def _near(self, name: str, depth: int) -> str:
        near = difflib.get_close_matches(name, self.names[depth], n=1)
        return f"{name!r} (did you mean {near[0]!r}?)" if near else repr(name)


def _parents(
    fine: Sequence[str], coarse: Sequence[str], *, names: Sequence[str], levels: Sequence[str]
) -> tuple[tuple[int, ...], ...]:
    """Code of the parent of each distinct fine class, in the order of first appearance."""
    code_of = {name: code for code, name in enumerate(names)}
    parent_of: dict[str, str] = {}
    for child, parent in zip(fine, coarse, strict=True):
        if parent_of.setdefault(child, parent) != parent:
            raise InvalidInputError(
                f"{levels[0]} {child!r} has two parents at level {levels[1]!r}: "
                f"{parent_of[child]!r} and {parent!r}; if these are two classes with one name, "
                "give them different names"
            )
    return tuple((code_of[parent],) for parent in parent_of.values())
