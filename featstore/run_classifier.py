"""RunClassifier: the probe of a stored run, ready to score features that are in no store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from featstore.head import Head
from featstore.learner import KeptProbe
from featstore.refit import Refit
from featstore.run import ProbeRun
from featstore.store import FeatureStore


@dataclass(frozen=True, eq=False)
class RunClassifier:
    """What a run says of any features.

    Attributes
    ----------
    classes
        Names of all classes of the target, length c.
    head
        The weights that the run keeps; None for a probe that keeps none.
    kept
        Then the probe, fitted again.
    """

    classes: tuple[str, ...]
    head: Head | None
    kept: KeptProbe | None

    @classmethod
    def of(cls, store: FeatureStore, run: ProbeRun, *, device: str = "cpu") -> Self:
        """Take the weights of a linear run; fit any other probe again, to the rows of the run.

        Raises
        ------
        FeatureNotFoundError, NotSealedError
            If the probe has to be fitted again, and its features or splits are not there any more.
        InvalidInputError
            If they are others than the run's.
        """
        classes = run.predictions.classes
        if run.head is not None and run.head.link is not None:
            return cls(classes, run.head, None)
        return cls(classes, None, Refit.of(store, run.config, device=device).whole())

    @property
    def origin(self) -> Literal["stored weights", "fitted again"]:
        """Where the probe comes from."""
        return "fitted again" if self.head is None else "stored weights"

    def probabilities(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        """Scores as the run stores them.

        Parameters
        ----------
        X
            Features as they are stored, shape (n, d).

        Returns
        -------
        scores
            Shape (n, c): probabilities, for a multi-label run one per class; 0 for classes that
            had no training row.
        """
        if self.kept is not None:
            return self.kept.probabilities(X)
        assert self.head is not None  # one of the two is there
        full = np.zeros((len(X), len(self.classes)), np.float32)
        full[:, self.head.classes] = self.head.probabilities(X)
        return full
