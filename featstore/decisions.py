"""Decisions: what a single-label probe called each test row; predictions without their scores."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.predictions import Predictions
from featstore.validation import check_codes, check_predictions


@dataclass(frozen=True, eq=False)
class Decisions:
    """The class that one probe gave each test row, beside the truth.

    The scores of 100,000 rows for 10,000 classes are 4 GB, their decisions 1 MB.

    Attributes
    ----------
    ids
        Sample ids, shape (n,).
    classes
        Names of all classes of the target, length c.
    truth, predicted
        Class codes, shape (n,), integers in [0, c).
    seen
        Shape (c,), bool: whether the class had at least one row in training.

    Raises
    ------
    InvalidInputError
        If there are no rows, or codes are impossible.
    """

    ids: NDArray[np.str_]
    classes: tuple[str, ...]
    truth: NDArray[np.integer]
    predicted: NDArray[np.integer]
    seen: NDArray[np.bool_]

    def __post_init__(self) -> None:
        for codes in (self.truth, self.predicted):
            check_codes(codes, self.n_classes, n=len(self.ids))
        if self.seen.shape != (self.n_classes,):
            raise InvalidInputError(
                f"seen of shape {self.seen.shape} for {self.n_classes} classes: one bool for each"
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_classes(self) -> int:
        """Number of classes of the target."""
        return len(self.classes)

    @property
    def multilabel(self) -> bool:
        """Always false: several labels of a row have scores, and no one decision."""
        return False

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the row was given its class, shape (n,)."""
        return np.asarray(self.truth == self.predicted)

    def take(self, rows: NDArray[np.intp]) -> Decisions:
        """Return these rows, in this order."""
        return dataclasses.replace(
            self, ids=self.ids[rows], truth=self.truth[rows], predicted=self.predicted[rows]
        )


Outcomes = Predictions | Decisions
"""What a run said about its test rows, with scores or without."""


def decided(outcomes: Outcomes) -> Decisions:
    """Reduce a single-label run to what it decided.

    Parameters
    ----------
    outcomes
        Of one run.

    Raises
    ------
    InvalidInputError
        If the run is multi-label, has no test rows, or impossible scores or labels.

    Examples
    --------
    >>> run = Predictions(np.array(["a", "b"]), ("cat", "dog"), np.array([0, 1]),
    ...                   np.array([[0.9, 0.1], [0.8, 0.2]], np.float32), np.ones(2, bool))
    >>> print(decided(run).predicted, decided(run).right)
    [0 0] [ True False]
    """
    if isinstance(outcomes, Decisions):
        return outcomes
    check_predictions(outcomes)
    if outcomes.multilabel:
        raise InvalidInputError(
            "this analysis needs one class per row; the run is multi-label, where a row has "
            "several labels or none"
        )
    return Decisions(
        ids=outcomes.ids,
        classes=outcomes.classes,
        truth=outcomes.truth.astype(np.intp),
        predicted=outcomes.predicted,
        seen=outcomes.seen,
    )
