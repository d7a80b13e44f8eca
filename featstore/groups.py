"""Groups: rows that belong together, such as the images of one patient, site or burst."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.samples import UNLABELLED
from featstore.store import FeatureStore


@dataclass(frozen=True, eq=False)
class Groups:
    """A single-label target read as the group of each row.

    Rows of one group never come to both sides of a division; a probe would recognise the patient
    instead of the disease.

    Attributes
    ----------
    name
        Of the target.
    codes
        Group of each row of the store, shape (n,); -1 where it is not known.
    ids
        Of all rows of the store, to name those without a group.
    """

    name: str
    codes: NDArray[np.integer]
    ids: NDArray[np.str_]

    @classmethod
    def of(cls, store: FeatureStore, name: str, *, target: str) -> Groups:
        """Read a target as groups.

        Parameters
        ----------
        store
            The store.
        name
            Of the label column that names the group of each row.
        target
            What the probe predicts: another column.

        Raises
        ------
        FeatureNotFoundError
            If there is no target of this name.
        InvalidInputError
            If a row may have several of its labels, or it is what the probe predicts.
        """
        _, column = store.target(name)
        if column.kind == "multi":
            raise InvalidInputError(
                f"{name!r} cannot group rows: a row may have several of its labels; take a column "
                "with one label per row"
            )
        if name == target:
            raise InvalidInputError(
                f"rows cannot be grouped by what is predicted ({name!r}): no class would be on "
                "both sides"
            )
        return cls(name, np.asarray(column.codes, np.intp), store.samples.ids)

    def of_rows(self, rows: NDArray[np.intp]) -> NDArray[np.integer]:
        """Return the groups of some rows of the store; an error if one has none."""
        codes = self.codes[rows]
        alone = np.flatnonzero(codes == UNLABELLED)
        if alone.size:
            shown = ", ".join(self.ids[rows[alone[:5]]].tolist())
            raise InvalidInputError(
                f"{alone.size} rows have no {self.name!r}: {shown}{', …' * (alone.size > 5)}; whom "
                "they belong to must be known before rows can be divided by it"
            )
        return codes

    def shared(self, a: NDArray[np.intp], b: NDArray[np.intp]) -> int:
        """Count the groups that have rows in both of two sets of rows of the store."""
        return len(np.intersect1d(self.of_rows(a), self.of_rows(b)))
