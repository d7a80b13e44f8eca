"""Groups of classes: the classes of a taxonomy's level, or of a column of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from featstore.errors import FeatureNotFoundError, InvalidInputError
from featstore.suggest import did_you_mean
from featstore.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class ClassGroups:
    """Which classes belong together.

    Attributes
    ----------
    name
        Of the level or the column.
    groups
        Names of the g groups, in the order of their first class.
    belongs
        Shape (c, g), bool: whether the class is in the group; in none or in several is possible.
    """

    name: str
    groups: tuple[str, ...]
    belongs: csr_array

    @classmethod
    def from_taxonomy(
        cls, taxonomy: Taxonomy, level: str, classes: Sequence[str], *, of: str | None = None
    ) -> ClassGroups:
        """Group classes by their ancestors at a level.

        Parameters
        ----------
        taxonomy
            Has every class.
        level
            Whose classes are the groups.
        classes
            Names of the c classes of a target, in the order of their codes.
        of
            Level that `classes` belong to; the finest by default.

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
        >>> taxonomy = Taxonomy.from_frame(frame)
        >>> ClassGroups.from_taxonomy(taxonomy, "part", ["hat", "pants", "shirt"]).sizes
        array([1, 2])
        """
        return cls(level, *taxonomy.ancestors(classes, level, of=of))

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, column: str, classes: Sequence[str]) -> ClassGroups:
        """Group classes by a column of a table.

        Parameters
        ----------
        frame
            First column the class; one with several rows belongs to several groups, one without
            a row, or with an empty cell, to none.
        column
            That names the groups.
        classes
            Names of the c classes of a target, in the order of their codes.

        Raises
        ------
        FeatureNotFoundError
            If there is no such column.
        InvalidInputError
            If no class is in any group.

        Examples
        --------
        >>> frame = pd.DataFrame({"class": ["elk", "barn"], "kind": ["animal", ""]})
        >>> ClassGroups.from_frame(frame, "kind", ["barn", "elk"]).groups
        ('animal',)
        """
        if column not in frame.columns[1:]:
            columns = [str(name) for name in frame.columns[1:]]
            raise FeatureNotFoundError(
                f"the table has no column {column!r} of groups. {did_you_mean(column, columns)}"
            )
        code_of = {name: code for code, name in enumerate(classes)}
        cells = zip(frame.iloc[:, 0].astype(str), frame[column].fillna("").astype(str), strict=True)
        pairs = sorted(
            (code_of[name.strip()], group.strip())
            for name, group in cells
            if name.strip() in code_of and group.strip()
        )
        if not pairs:
            raise InvalidInputError(
                f"no class of the run has a group in column {column!r}: the table has classes like "
                f"{str(frame.iloc[0, 0])!r}, the run has {classes[0]!r}"
                if len(frame)
                else "the table of groups has no rows"
            )
        groups = tuple(dict.fromkeys(group for _, group in pairs))
        place = {group: code for code, group in enumerate(groups)}
        places = np.unique([(code, place[group]) for code, group in pairs], axis=0)
        shape = (len(classes), len(groups))
        return cls(column, groups, csr_array((np.ones(len(places), bool), places.T), shape=shape))

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Number of classes of each group, shape (g,)."""
        return np.bincount(self.belongs.indices, minlength=len(self.groups))

    def members(self, group: str) -> NDArray[np.intp]:
        """Return the codes of a group's classes.

        Raises
        ------
        FeatureNotFoundError
            If there is no such group.
        """
        if group not in self.groups:
            raise FeatureNotFoundError(
                f"{self.name!r} has no group {group!r}. {did_you_mean(group, self.groups)}"
            )
        codes, groups = self.belongs.nonzero()
        return np.asarray(codes[groups == self.groups.index(group)], np.intp)

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up values of classes, shape (c, ...), in each group, to shape (g, ...)."""
        return np.asarray(self.belongs.T.astype(np.float64) @ values)

    def means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average values of classes, shape (c, b), over the classes of each group.

        Returns
        -------
        means
            Shape (g, b); NaN values are left out, and NaN is the mean of nothing.
        """
        defined = ~np.isnan(values)
        counted = self.sums(defined.astype(np.float64))
        return self.sums(np.where(defined, values, 0)) / np.where(counted > 0, counted, np.nan)
