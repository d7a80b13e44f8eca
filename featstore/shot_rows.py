"""ShotRows: the few feature rows that draws need, read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.parts import Part
from featstore.scaling import BlockScaling

_NAMED_ROWS = 5


@dataclass(frozen=True, eq=False)
class ShotRows:
    """Feature rows with labels.

    Attributes
    ----------
    rows
        Rows of the store, ascending, shape (n,).
    X
        Their scaled values, shape (n, d), finite.
    y
        Their class codes, shape (n,).
    """

    rows: NDArray[np.intp]
    X: NDArray[Any]
    y: NDArray[np.integer]

    @classmethod
    def of(
        cls, part: Part, scaling: BlockScaling, needed: Sequence[NDArray[np.intp]] | None = None
    ) -> Self:
        """Read the rows that occur in `needed`, each once; all of the part by default.

        Raises
        ------
        InvalidInputError
            If a row holds NaN or infinity.
        """
        if needed is None:
            rows, X, y = part.view.rows, scaling.apply(part.view), part.labels
        else:
            rows = np.unique(np.concatenate(needed))
            places = np.searchsorted(part.view.rows, rows)
            X, y = scaling.transform(part.view.take(places)), part.labels[places]
        bad = np.flatnonzero(~np.isfinite(X).all(axis=1))
        if len(bad):
            all_ids = part.view.ids
            ids = all_ids[np.searchsorted(part.view.rows, rows[bad[:_NAMED_ROWS]])]
            raise InvalidInputError(
                f"{len(bad)} of {len(X)} rows of {' + '.join(part.view.names)} hold NaN or "
                f"infinity: {', '.join(ids.tolist())}{', …' if len(bad) > _NAMED_ROWS else ''}; "
                "extract the feature again, or import it without these rows"
            )
        return cls(rows, X, y)

    def places(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Where rows of the store are among these."""
        return np.searchsorted(self.rows, rows)
