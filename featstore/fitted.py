"""Fitted: the protocol of a probe that was fitted and can score other rows."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from featstore.predictions import Predictions
from featstore.view import View


class Fitted(Protocol):
    """A fitted probe with the scaling that its inputs go through."""

    def predict(self, view: View, labels: NDArray[Any]) -> Predictions:
        """Score rows.

        Parameters
        ----------
        view
            Features as wide as those it was fitted to, shape (n, d).
        labels
            Class codes (n,), or bool (n, c).
        """
        ...
