"""Learner: an estimator, the target that it learns, and the scaling of its features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.estimator import Estimator
from featstore.parts import Part
from featstore.predictions import Predictions
from featstore.samples import Target
from featstore.scaled import ScaledView
from featstore.scaling import BlockScaling, ScalingKind
from featstore.shelf import RememberedRows, Shelf
from featstore.trial import End
from featstore.view import View


@dataclass(frozen=True, eq=False)
class Learner:
    """What is fitted, again and again, to parts of a store's rows.

    Attributes
    ----------
    estimator
        The probe; fitting changes it.
    target
        What it learns.
    scaling
        Learned on the rows of each fit.
    shelf
        Matrices that other fits have read, and what was made of them; None to read alone.
    """

    estimator: Estimator
    target: Target
    scaling: ScalingKind
    shelf: Shelf | None = None

    @property
    def ties(self) -> End:
        """Which of two values with equal scores is taken."""
        ties: End = getattr(self.estimator, "ties", "smaller")
        return ties

    @property
    def stronger(self) -> End | None:
        """Which values regularise more; None where the parameter has no such order."""
        stronger: End | None = getattr(self.estimator, "stronger", None)
        return stronger

    @property
    def counts_rows(self) -> bool:
        """Whether the parameter counts training rows, and cannot exceed their number."""
        return bool(getattr(self.estimator, "counts_rows", False))

    def own_choice(self) -> tuple[float, str]:
        """Value that the fitted estimator took without being told one, and the rule it went by.

        The rule is empty where the value is the estimator's default.
        """
        estimator = self.estimator
        rule: str = getattr(estimator, "chosen_by_", "")
        if rule:
            return float(getattr(estimator, f"{estimator.parameter}_")), rule
        return float(estimator.get_params()[estimator.parameter]), ""

    def fit(self, part: Part, value: float | None) -> BlockScaling:
        """Fit the estimator, and return the scaling that its features went through.

        Parameters
        ----------
        part
            Rows to fit on.
        value
            Of the hyper-parameter; None leaves it to the estimator.
        """
        estimator = self.estimator
        if value is not None:
            estimator.set_params(**{estimator.parameter: estimator.parameter_type(value)})
        blocks = self._blocks(part.view)
        estimator.fit(self._matrix(blocks, part.view), part.labels)
        return blocks

    def predict(self, blocks: BlockScaling, fitted_on: Part, rows: Part) -> Predictions:
        """Score rows with the fitted estimator; `blocks` is what `fit` returned."""
        scores = self.estimator.predict_proba(self._matrix(blocks, rows.view))
        return self._predictions(scores, fitted_on, rows)

    def kept(self, blocks: BlockScaling, fitted_on: Part) -> KeptProbe:
        """Hold on to the fitted estimator; `blocks` is what `fit` returned."""
        return KeptProbe(self, blocks, fitted_on)

    def sweep(
        self, fitted_on: Part, rows: Part, values: Sequence[float]
    ) -> Iterator[tuple[float, Predictions]]:
        """Fit once per value, sharing all work, and score rows with each.

        Values for which the estimator has no result (a training that diverged) are left out.
        """
        blocks = self._blocks(fitted_on.view)
        X, queries = self._matrix(blocks, fitted_on.view), self._matrix(blocks, rows.view)
        for value, scores in self.estimator.sweep(X, fitted_on.labels, queries, values):
            yield value, self._predictions(scores, fitted_on, rows)

    def _blocks(self, view: View) -> BlockScaling:
        if self.shelf is None:
            return BlockScaling.fit(view, self.scaling)
        return self.shelf.scaling(view, self.scaling)

    def _matrix(
        self, blocks: BlockScaling, view: View
    ) -> NDArray[Any] | ScaledView | RememberedRows:
        """Scaled values of a view, all finite; in pieces for an estimator that checks them."""
        rows = ScaledView(view, blocks) if self.shelf is None else self.shelf.rows(view, blocks)
        if getattr(self.estimator, "streams", False):
            return rows
        X = rows.array()
        bad = np.flatnonzero(~np.isfinite(X).all(axis=1))
        if len(bad):
            shown = ", ".join(view.ids[bad[:5]].tolist())
            raise InvalidInputError(
                f"{len(bad)} rows of {' + '.join(view.names)} hold NaN or Inf: {shown}"
                f"{', …' if len(bad) > 5 else ''}; extract the feature again, or import it "
                "without these rows"
            )
        return rows if self.shelf and getattr(self.estimator, "recalls", False) else X

    def _predictions(
        self, scores: NDArray[np.floating], fitted_on: Part, rows: Part
    ) -> Predictions:
        classes = self.target.classes
        full = self.all_classes(scores)
        if self.target.kind == "multi":
            seen = np.any(fitted_on.labels, axis=0).reshape(len(classes))
        else:
            seen = np.zeros(len(classes), bool)
            seen[self.estimator.classes_] = True
        return Predictions(rows.view.ids, classes, rows.labels, full, seen)

    def all_classes(self, scores: NDArray[np.floating]) -> NDArray[np.float32]:
        """Put the scores of the classes that were trained into the columns of all classes."""
        if self.target.kind == "multi":
            return np.asarray(scores, np.float32)
        full = np.zeros((len(scores), len(self.target.classes)), np.float32)
        full[:, self.estimator.classes_] = scores
        return full


@dataclass(frozen=True, eq=False)
class KeptProbe:
    """A fitted estimator that scores rows of any view; valid until the learner fits again.

    Attributes
    ----------
    learner
        Whose estimator is fitted.
    blocks
        The scaling that the fit learned.
    fitted_on
        The rows of the fit.
    """

    learner: Learner
    blocks: BlockScaling
    fitted_on: Part

    def predict(self, view: View, labels: NDArray[Any]) -> Predictions:
        """Score rows; see `featstore.fitted.Fitted`."""
        return self.learner.predict(self.blocks, self.fitted_on, Part(view, labels))

    def probabilities(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        """Score rows that are in no store: features as they would be stored, shape (n, d).

        Returns
        -------
        scores
            Shape (n, c), with a column for every class of the target.
        """
        scores = self.learner.estimator.predict_proba(self.blocks.transform(X))
        return self.learner.all_classes(scores)
