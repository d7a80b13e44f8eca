"""LabelCurve: a metric against the number of training labels, over several draws of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from featstore.errors import InvalidInputError

_COLUMNS = ("n", "draw", "metric", "value")


@dataclass(frozen=True, eq=False)
class LabelCurve:
    """Values of one metric by size and draw.

    Attributes
    ----------
    sizes
        Numbers of labels, ascending, shape (s,).
    values
        Shape (s, d): of every draw.  A size with fewer draws (all labels: there is one way to
        take them) has its mean in the place of those it lacks, and does not vary.
    several
        Whether each size has all d draws, shape (s,).
    """

    sizes: NDArray[np.float64]
    values: NDArray[np.float64]
    several: NDArray[np.bool_]

    @classmethod
    def of(cls, values: pd.DataFrame, metric: str) -> Self:
        """Arrange a frame with the columns n, draw, metric and value.

        Raises
        ------
        InvalidInputError
            If a column or the metric is missing.

        Examples
        --------
        >>> frame = pd.DataFrame({"n": [10, 10, 80], "draw": [0, 1, 0], "metric": "top1",
        ...                       "value": [0.4, 0.5, 0.9]})
        >>> LabelCurve.of(frame, "top1").values.tolist()
        [[0.4, 0.5], [0.9, 0.9]]
        """
        if missing := [column for column in _COLUMNS if column not in values]:
            raise InvalidInputError(
                f"no column {missing[0]!r}; the frame has {list(values.columns)}"
            )
        chosen = values[values["metric"] == metric]
        if chosen.empty:
            known = ", ".join(map(str, values["metric"].unique()))
            raise InvalidInputError(f"no metric {metric!r}; the frame has: {known or 'none'}")
        table = chosen.pivot(index="n", columns="draw", values="value").sort_index()
        several = table.notna().all(axis=1).to_numpy()
        filled = table.T.fillna(table.mean(axis=1)).T
        return cls(table.index.to_numpy(float), filled.to_numpy(float), several)

    def __sub__(self, other: LabelCurve) -> LabelCurve:
        """Return the difference at the sizes that both have, draw by draw."""
        sizes, mine, theirs = np.intersect1d(self.sizes, other.sizes, return_indices=True)
        if len(sizes) < 2 or self.values.shape[1] != other.values.shape[1]:
            raise InvalidInputError(
                f"curves at {self.sizes.tolist()} and {other.sizes.tolist()} labels with "
                f"{self.values.shape[1]} and {other.values.shape[1]} draws cannot be compared: "
                "they need two sizes in common and the same draws"
            )
        return LabelCurve(
            sizes,
            self.values[mine] - other.values[theirs],
            self.several[mine] & other.several[theirs],
        )

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean over draws, shape (s,)."""
        means: NDArray[np.float64] = self.values.mean(axis=1)
        return means

    def resampled(self, *, n_boot: int, seed: int) -> NDArray[np.float64]:
        """Mean curves of draws that were drawn again with replacement, shape (n_boot, s).

        Draws are taken whole, with all their sizes, as nested draws belong together.  The mean of
        d resampled values varies by (d - 1) / d of what the mean of d values does (Efron &
        Tibshirani 1993, section 5.3), which matters for few draws: deviations are scaled up.
        With one draw nothing is known of how draws vary, and all is NaN.
        """
        d = self.values.shape[1]
        if d < 2:
            return np.full((n_boot, len(self.sizes)), np.nan)
        picked = np.random.default_rng(seed).integers(d, size=(n_boot, d))
        deviations = self.values[:, picked].mean(axis=2).T - self.mean
        curves: NDArray[np.float64] = self.mean + np.sqrt(d / (d - 1)) * deviations
        return curves


def between(start: ArrayLike, stop: ArrayLike, share: ArrayLike) -> NDArray[np.float64]:
    """Return the sizes at a share of the way from one to another, where log(size) is linear.

    Examples
    --------
    >>> between(100, 400, np.array([0.0, 0.5, 1.0])).round(6).tolist()
    [100.0, 200.0, 400.0]
    """
    first = np.asarray(start, float)
    found: NDArray[np.float64] = first * (np.asarray(stop, float) / first) ** np.asarray(share)
    return found
