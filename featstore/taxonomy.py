"""Taxonomy: classes at several levels of granularity, each level a coarsening of the one before."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from featstore.ancestors import ancestor_cells, named, read_ancestors
from featstore.displayed import Displayed
from featstore.errors import FeatureNotFoundError, InvalidInputError
from featstore.kinship import descent, occurring
from featstore.layers import check_layers, layers
from featstore.new_file import new_file

_NAMED_IN_ERRORS = 5


@dataclass(frozen=True, repr=False)
class Taxonomy(Displayed):
    """A layered graph of classes from fine to coarse; a class may have several parents.

    `featstore.taxonomies` makes them from WordNet, iNaturalist, Places365, folders and lists of
    parents.

    Attributes
    ----------
    levels
        Names of the levels, finest first, e.g. ``("species", "genus", ..., "kingdom")``.
    names
        Class names of each level, unique within it.
    parents
        ``parents[i][j]``: codes at level i + 1 of the parents of class j of level i, the primary
        one first; one level fewer than `levels`.

    Raises
    ------
    InvalidInputError
        If levels or classes repeat, a level has no classes, or a class no parents in the next
        one.
    """

    levels: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    parents: tuple[tuple[tuple[int, ...], ...], ...]

    def __post_init__(self) -> None:
        check_layers(self.levels, self.names, self.parents)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, multiple_parents: bool = False) -> Taxonomy:
        """Build from one row per finest class, or per way up from one.

        Parameters
        ----------
        frame
            First column the finest class, then its ancestors level by level; the column names
            are the levels.  Cells are taken as text without surrounding blanks.
        multiple_parents
            Whether a class may have several parents.  It then has a row for each way up, and the
            parent that comes first is its primary one.

        Raises
        ------
        InvalidInputError
            If there are fewer than two columns or no rows, a cell is blank, or a class has two
            different parents and `multiple_parents` is false.

        Examples
        --------
        >>> frame = pd.DataFrame({"item": ["hat", "shirt", "pants"],
        ...                       "part": ["head", "body", "body"]})
        >>> Taxonomy.from_frame(frame).classes("part")
        ('head', 'body')
        """
        levels, cells = ancestor_cells(frame)
        return cls(levels, *layers(levels, cells, multiple_parents=multiple_parents))

    @classmethod
    def from_csv(cls, path: str | Path, *, multiple_parents: bool = False) -> Taxonomy:
        """Read a table with a header, see `from_frame`; all cells are text, also ``NA`` and 007.

        Raises
        ------
        InvalidInputError
            If the file is no such table.
        """
        try:
            return cls.from_frame(read_ancestors(path), multiple_parents=multiple_parents)
        except InvalidInputError as error:
            error.add_note(f"in the taxonomy {path}")
            raise

    @classmethod
    def from_file(cls, path: str | Path) -> Taxonomy:
        """Read what `to_file` wrote, or a table as `from_csv` does; ``.json`` is the former.

        Raises
        ------
        InvalidInputError
            If the file is neither.
        """
        if Path(path).suffix.lower() != ".json":
            return cls.from_csv(path)
        try:
            return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
        except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
            raise InvalidInputError(
                f"{path} is no taxonomy: expected JSON with levels, names and parents, as "
                "`featstore taxonomy --out` writes it"
            ) from error

    def to_file(self, path: str | Path) -> None:
        """Write JSON that `from_file` reads; several parents and their order are kept."""
        with new_file(Path(path)) as temporary:
            temporary.write_text(json.dumps(self.to_json(), ensure_ascii=False), encoding="utf-8")

    @property
    def is_tree(self) -> bool:
        """Whether every class has one parent."""
        return all(len(codes) == 1 for parents in self.parents for codes in parents)

    def primary(self) -> Taxonomy:
        """Return the tree in which every class keeps its primary parent only.

        Examples
        --------
        >>> frame = pd.DataFrame({"scene": ["barn", "barn"], "type": ["farm", "field"]})
        >>> taxonomy = Taxonomy.from_frame(frame, multiple_parents=True)
        >>> taxonomy.is_tree, taxonomy.primary().is_tree
        (False, True)
        """
        parents = tuple(tuple(codes[:1] for codes in level) for level in self.parents)
        return Taxonomy(self.levels, self.names, parents)

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

    def codes(self, classes: Sequence[str], *, of: str | None = None) -> NDArray[np.intp]:
        """Codes of classes at a level, the finest by default; shape (c,).

        Raises
        ------
        FeatureNotFoundError
            If there is no such level.
        InvalidInputError
            If classes are missing from it.
        """
        level = self.position(of or self.levels[0])
        code_of = {name: code for code, name in enumerate(self.names[level])}
        if missing := [name for name in classes if name not in code_of]:
            hints = [self._near(name, level) for name in missing[:_NAMED_IN_ERRORS]]
            more = ", ..." if len(missing) > _NAMED_IN_ERRORS else ""
            raise InvalidInputError(
                f"{len(missing)} of {len(classes)} classes are missing from level "
                f"{self.levels[level]!r} of the taxonomy: {', '.join(hints)}{more}"
            )
        return np.array([code_of[name] for name in classes], np.intp)

    def lineage(self, classes: Sequence[str], *, of: str | None = None) -> list[csr_array]:
        """Find all ancestors of the classes of a target.

        Parameters
        ----------
        classes
            Names of c classes, in the order of their codes.
        of
            The level that `classes` belong to; the finest by default.

        Returns
        -------
        belongs
            For `of` and every coarser level of m classes, shape (c, m), bool: whether the column
            is the row's class or an ancestor of it.

        Raises
        ------
        FeatureNotFoundError, InvalidInputError
            As `codes`.
        """
        start, codes = self.position(of or self.levels[0]), self.codes(classes, of=of)
        places = (np.arange(len(codes)), codes)
        shape = (len(codes), len(self.names[start]))
        belongs = [csr_array((np.ones(len(codes), bool), places), shape=shape)]
        for parents, coarse in zip(self.parents[start:], self.names[start + 1 :], strict=True):
            belongs.append(csr_array(belongs[-1] @ descent(parents, len(coarse))))
        return belongs

    def ancestors(
        self, classes: Sequence[str], level: str, *, of: str | None = None
    ) -> tuple[tuple[str, ...], csr_array]:
        """Find all classes at a coarser level that the classes of a target belong to.

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
            Names of the m coarse classes that occur, in the order of first appearance.
        belongs
            Shape (c, m), bool: whether the column is an ancestor of the row.

        Raises
        ------
        FeatureNotFoundError
            If there is no such level.
        InvalidInputError
            If classes are missing from the taxonomy, or `level` is finer than `of`.

        Examples
        --------
        >>> frame = pd.DataFrame({"scene": ["lake", "barn", "barn"],
        ...                       "type": ["water", "farm", "field"]})
        >>> taxonomy = Taxonomy.from_frame(frame, multiple_parents=True)
        >>> names, belongs = taxonomy.ancestors(["barn", "lake"], "type")
        >>> print(names, belongs.toarray().astype(int).tolist())
        ('farm', 'field', 'water') [[1, 1, 0], [0, 0, 1]]
        """
        start, end = self.position(of or self.levels[0]), self.position(level)
        if end < start:
            raise InvalidInputError(
                f"level {level!r} is finer than {self.levels[start]!r}: classes can only be "
                f"coarsened; the levels are, finest first, {', '.join(self.levels)}"
            )
        used, belongs = occurring(self.lineage(classes, of=of)[end - start])
        return tuple(self.names[end][code] for code in used), belongs

    def coarsen(
        self, classes: Sequence[str], level: str, *, of: str | None = None
    ) -> tuple[tuple[str, ...], NDArray[np.intp]]:
        """Map the classes of a target to the one class each belongs to at a coarser level.

        Parameters
        ----------
        classes, level, of
            See `ancestors`.

        Returns
        -------
        coarse
            Names of the coarse classes that occur, in the order of first appearance.
        codes
            Shape (c,): position in `coarse` of each class.

        Raises
        ------
        FeatureNotFoundError, InvalidInputError
            As `ancestors`, and if a class has several ancestors at this level.

        Examples
        --------
        >>> frame = pd.DataFrame({"item": ["hat", "shirt", "pants"],
        ...                       "part": ["head", "body", "body"]})
        >>> coarse, codes = Taxonomy.from_frame(frame).coarsen(["shirt", "hat"], "part")
        >>> print(coarse, codes)
        ('body', 'head') [0 1]
        """
        coarse, belongs = self.ancestors(classes, level, of=of)
        if (counts := np.diff(belongs.indptr)).max(initial=1) > 1:
            first = int(np.argmax(counts > 1))
            of_first = [coarse[code] for code in belongs.indices[belongs.indptr[first] :]]
            raise InvalidInputError(
                f"{int((counts > 1).sum())} of {len(classes)} classes belong to several classes of "
                f"level {level!r}, e.g. {classes[first]!r} to {named(of_first[: counts[first]])}; "
                "use ancestors(), or primary() to keep one parent of each"
            )
        return coarse, belongs.indices.astype(np.intp)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per way up from a finest class; the inverse of `from_frame`.

        In a tree that is one row per finest class.
        """
        ways: list[tuple[int, ...]] = [(code,) for code in range(len(self.names[0]))]
        for parents in self.parents:
            ways = [(*way, parent) for way in ways for parent in parents[way[-1]]]
        columns = zip(self.levels, self.names, zip(*ways, strict=True), strict=True)
        return pd.DataFrame(
            {level: [names[code] for code in codes] for level, names, codes in columns}
        )

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
