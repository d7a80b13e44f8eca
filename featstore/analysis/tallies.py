"""Tallies: how many test rows of each class both runs, one of them or none has right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.decisions import Decisions


@dataclass(frozen=True, eq=False)
class Tallies:
    """Rows of each class, shape (c,) each.

    Attributes
    ----------
    n
        All.
    both, only_a, only_b
        Those that both runs have right, and exactly one of them.
    """

    n: NDArray[np.intp]
    both: NDArray[np.intp]
    only_a: NDArray[np.intp]
    only_b: NDArray[np.intp]

    @classmethod
    def of(cls, a: Decisions, b: Decisions) -> Tallies:
        """Count the rows of two runs on the same rows.

        Examples
        --------
        >>> truth, seen = np.array([0, 1, 1]), np.ones(2, bool)
        >>> ids = np.array(["a", "b", "c"])
        >>> a = Decisions(ids, ("cat", "dog"), truth, np.array([0, 0, 0]), seen)
        >>> b = Decisions(ids, ("cat", "dog"), truth, np.array([0, 1, 0]), seen)
        >>> Tallies.of(a, b).only_b
        array([0, 1])
        """
        # One count of four kinds per class.
        kind = 4 * a.truth.astype(np.intp) + 2 * a.right + b.right
        counts = np.bincount(kind, minlength=4 * a.n_classes).reshape(-1, 4)
        return cls(counts.sum(axis=1), counts[:, 3], counts[:, 2], counts[:, 1])

    @property
    def gain(self) -> NDArray[np.float64]:
        """Accuracy of b less that of a, shape (c,); NaN for a class without rows."""
        return self._share(self.only_b - self.only_a)

    @property
    def accuracies(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Accuracies of a and of b; NaN for a class without rows."""
        return self._share(self.both + self.only_a), self._share(self.both + self.only_b)

    @property
    def discordant(self) -> NDArray[np.intp]:
        """Rows that exactly one run has right, shape (c,)."""
        return np.asarray(self.only_a + self.only_b)

    def _share(self, part: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.asarray(part / np.where(self.n > 0, self.n, np.nan))
