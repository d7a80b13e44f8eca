"""Predictions: what a probe said about each test row; all that most analyses need."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.strings import pack


@dataclass(frozen=True, eq=False)
class Predictions:
    """Scores of one probe on the test rows, beside the truth.

    Attributes
    ----------
    ids
        Sample ids, shape (n,), unicode or object strings.
    classes
        Names of all classes of the target, length c; columns of `scores` follow this order.
    truth
        Single-label: class codes, shape (n,), integers in [0, c).  Multi-label: shape (n, c),
        bool.
    scores
        Shape (n, c), float32.  Single-label: probabilities.  Multi-label: one independent
        probability per class.
    seen
        Shape (c,), bool: whether the class had at least one row in training.  A class not
        seen has score 0 everywhere and can never be predicted.

    Raises
    ------
    InvalidInputError
        If the shapes do not fit together.
    """

    ids: NDArray[np.str_]
    classes: tuple[str, ...]
    truth: NDArray[np.integer] | NDArray[np.bool_]
    scores: NDArray[np.float32]
    seen: NDArray[np.bool_]

    def __post_init__(self) -> None:
        n, c = len(self.ids), len(self.classes)
        expected_truth = (n, c) if self.multilabel else (n,)
        if (
            self.scores.shape != (n, c)
            or self.truth.shape != expected_truth
            or self.seen.shape != (c,)
        ):
            raise InvalidInputError(
                f"predictions for {n} ids and {c} classes do not fit: scores "
                f"{self.scores.shape}, truth {self.truth.shape}, seen {self.seen.shape}"
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_classes(self) -> int:
        """Number of classes of the target."""
        return len(self.classes)

    @property
    def multilabel(self) -> bool:
        """Whether a row may have several classes or none."""
        return self.truth.ndim == 2

    def take(self, rows: NDArray[np.intp]) -> Predictions:
        """Return these rows, in this order."""
        return dataclasses.replace(
            self, ids=self.ids[rows], truth=self.truth[rows], scores=self.scores[rows]
        )

    @property
    def rows_digest(self) -> str:
        """Sha256 of the set of test rows: equal for runs that can be compared row by row."""
        ids, offsets = pack(np.sort(self.ids))
        return hashlib.sha256(ids.tobytes() + offsets.tobytes()).hexdigest()

    @property
    def predicted(self) -> NDArray[np.intp]:
        """Class code with the highest score, shape (n,); single-label only.

        Ties go to the lower code, as `numpy.argmax` has it.
        """
        if self.multilabel:
            raise InvalidInputError("a multi-label run has no single predicted class; use scores")
        best: NDArray[np.intp] = self.scores.argmax(axis=1)
        return best
