"""Label noise: rows whose label a probe, or their neighbours, would not have given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.confident_joint import ConfidentJoint
from featstore.displayed import Displayed
from featstore.errors import InvalidInputError
from featstore.predictions import Predictions


@dataclass(frozen=True, eq=False, repr=False)
class LabelNoise(Displayed):
    """Candidates for wrong labels.

    Attributes
    ----------
    rows
        Every row, most suspect first: id, label, suggested (the class with the largest
        probability), p_label, p_suggested, margin (p_label less the largest other probability),
        confident (whether confident learning flags it), and where neighbours voted knn (their
        class), agreement (their votes for the label, in [0, 1]) and disputed (whether their class
        is another).
    joint
        Of labels and confident predictions.
    """

    rows: pd.DataFrame
    joint: ConfidentJoint

    @property
    def candidates(self) -> pd.DataFrame:
        """Rows that confident learning flags and, where neighbours voted, they dispute too."""
        flagged = self.rows["confident"]
        if "disputed" in self.rows:
            flagged = flagged & self.rows["disputed"]
        return self.rows[flagged].reset_index(drop=True)

    @property
    def noise_rate(self) -> float:
        """Estimated share of wrong labels, see `ConfidentJoint.noise_rate`."""
        return self.joint.noise_rate


def label_noise(predictions: Predictions, votes: NDArray[np.floating] | None = None) -> LabelNoise:
    """Rank rows by how little their label is believed.

    A row is flagged where its probabilities confidently belong to another class than its label,
    see `ConfidentJoint`, and disputed where most of its neighbours' votes do.  Flagged rows come
    first, then by the margin: probability of the label less the largest other one.

    Parameters
    ----------
    predictions
        Out-of-sample probabilities of single-label rows.
    votes
        Shares of their neighbours' votes, shape (n, c); a row has no vote on itself.

    Returns
    -------
    noise
        Candidates are where to look first, not what to delete: hard rows look like wrong ones.

    Raises
    ------
    InvalidInputError
        If the run is multi-label, scores are not probabilities, or votes do not fit.

    References
    ----------
    Northcutt, Jiang & Chuang (2021), Confident learning, JAIR 70.  Wilson (1972), Asymptotic
    properties of nearest neighbor rules using edited data, IEEE Trans. SMC 2, for the vote.

    Examples
    --------
    >>> scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.95, 0.05]], np.float32)
    >>> run = Predictions(np.array(list("abcd")), ("cat", "dog"), np.array([0, 0, 1, 1]),
    ...                   scores, np.array([True, True]))
    >>> label_noise(run).candidates[["id", "label", "suggested"]]
      id label suggested
    0  d   dog       cat
    """
    joint = ConfidentJoint.of(predictions)
    scores, truth = predictions.scores, predictions.truth.astype(np.intp)
    rows, names = np.arange(len(truth)), np.asarray(predictions.classes, object)
    others = scores.copy()
    others[rows, truth] = -np.inf
    rival = others.max(axis=1) if scores.shape[1] > 1 else np.zeros(len(rows), np.float32)
    called = predictions.predicted
    frame = pd.DataFrame(
        {
            "id": predictions.ids.astype(object),
            "label": names[truth],
            "suggested": names[called],
            "p_label": scores[rows, truth],
            "p_suggested": scores[rows, called],
            "margin": scores[rows, truth] - rival,
            # As Northcutt et al. have it, a row that is predicted as labelled stays unflagged.
            "confident": (joint.confident >= 0) & (joint.confident != truth) & (called != truth),
        }
    )
    if votes is not None:
        if votes.shape != scores.shape or not np.isfinite(votes).all():
            raise InvalidInputError(
                f"votes of shape {votes.shape} for {scores.shape[0]} rows and {scores.shape[1]} "
                "classes: one finite share is needed for each"
            )
        frame["knn"] = names[votes.argmax(axis=1)]
        frame["agreement"] = votes[rows, truth]
        frame["disputed"] = votes.argmax(axis=1) != truth
    frame = frame.sort_values(
        ["confident", "margin"], ascending=[False, True], kind="stable", ignore_index=True
    )
    return LabelNoise(frame, joint)
