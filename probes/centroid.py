"""CentroidProbe: the nearest class mean, by distance or by angle."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from featstore.errors import InvalidInputError
from featstore.probes.affine import AffineClassifier
from featstore.probes.class_sums import ClassMoments, against
from featstore.probes.device import DeviceName, device_of
from featstore.probes.inputs import features_of
from featstore.probes.row_maps import UnitRows
from featstore.probes.stream import RowStream
from featstore.probes.subset_centroids import centroid_subsets
from featstore.subset_scores import SubsetScores

_NOTHING = 1e-9  # of the squared distance from the mean of all rows: rounding


class CentroidProbe(AffineClassifier):
    """Nearest class mean (Mensink et al. 2013), and SimpleShot (Wang et al. 2019).

    One pass, two with `centre`; O(c d) memory.  Of a multi-label indicator every label is a
    problem of its own, the mean of the rows with it against that of the rows without.

    Parameters
    ----------
    temperature
        Probabilities are the softmax of -distance² / temperature, as in prototypical networks
        (Snell et al. 2017), with ``metric="cosine"`` of similarity / temperature.  Of no effect
        on the predicted class.  ``"auto"`` takes the mean over the training rows of the squared
        distance from their own centroid, or of 1 - similarity to it: scale does not matter.
    metric
        ``"euclidean"``: the distance from the mean of the class's rows.  ``"cosine"``: rows are
        divided by their l2 norm, zero rows stay zero, and the similarity is the cosine of the
        angle to the mean direction of the class.
    normalise
        Divide rows by their l2 norm under the Euclidean metric too.
    centre
        Subtract the mean of the training rows first; matters only where rows are divided by
        their norms.  ``normalise=True, centre=True`` is SimpleShot's CL2N.
    device
        ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA where there is some.

    Attributes
    ----------
    classes_
        Class labels in sorted order, shape (c,); for an indicator its column numbers.
    centroids_
        Means of the (centred, normalised) rows of each class, float64, shape (c, d); with
        ``metric="cosine"`` of length 1.  For an indicator first those of the rows with each label,
        then those without, (2 c, d).
    coef_, intercept_
        Of the linear scores, where rows are not normalised: float64, shapes (c, d) and (c,);
        (1, d) and (1,) for two classes.
    temperature_
        The temperature that was used.
    chosen_by_
        The rule that chose it; empty if it was given.
    n_features_in_
        Columns of the training features, d.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> CentroidProbe(metric="cosine").fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.85
    True
    """

    #: The hyper-parameter that a run reports.
    parameter: ClassVar[str] = "temperature"
    parameter_type: ClassVar[type[float]] = float
    streams: ClassVar[bool] = True

    def __init__(
        self,
        temperature: float | Literal["auto"] = "auto",
        *,
        metric: Literal["euclidean", "cosine"] = "euclidean",
        normalise: bool = False,
        centre: bool = False,
        device: DeviceName = "cpu",
    ) -> None:
        self.temperature = temperature
        self.metric = metric
        self.normalise = normalise
        self.centre = centre
        self.device = device

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Take the class means.

        Parameters
        ----------
        X
            Features (n, d): NumPy array, torch tensor, anything with ``array()`` or
            ``__array__``, or a view with ``batches()``, which is read in pieces; float16,
            float32 or float64.
        y
            Labels (n,) of any dtype, or an indicator (n, c) of 0 and 1.

        Raises
        ------
        InvalidInputError
            If X holds NaN or infinity, y has one class only or another length than X, or a
            parameter is out of range.
        """
        self._check_parameters()
        stream, targets = self._open(X, y)
        device = device_of(self.device)
        prepare = None
        if self.normalise or self.metric == "cosine":
            prepare = UnitRows(_mean(stream, device) if self.centre else None)
        moments = ClassMoments.of(stream, targets, device, prepare=prepare)
        centroids = moments.means + moments.centre
        if self.metric == "cosine":
            within = 1 - _average(centroids.norm(dim=1), moments)
            overall = 1 - (moments.mean + moments.centre).norm().item()
            centroids = UnitRows()(centroids)
            weights, offsets = centroids, torch.zeros_like(moments.counts)
        else:
            within = _average(moments.variances.sum(dim=1), moments)
            overall = moments.variance.sum().item()
            # -distance² up to ‖x‖², around the centre: where rows lie far from zero, that
            # would cancel.
            weights = 2 * moments.means
            offsets = -moments.means.square().sum(dim=1) - weights @ moments.centre
        self.chosen_by_ = ""
        if self.temperature == "auto":
            self.chosen_by_ = "mean distance within classes"
            # With one row per class nothing lies within; that of all rows is of the right scale.
            self.temperature_ = within if within > _NOTHING * overall else overall or 1.0
        else:
            self.temperature_ = float(self.temperature)
        if self._multilabel:
            # A group without rows is infinitely far.
            offsets = torch.where(moments.counts > 0, offsets, -torch.inf)
            defined = torch.isfinite(offsets).view(2, -1).all(dim=0).repeat(2)
            weights = weights * defined[:, None]
        self.centroids_ = centroids.cpu().numpy()
        self._adopt(
            against(weights, multilabel=self._multilabel),
            against(offsets, multilabel=self._multilabel),
            prepare=None if prepare is None else _on_cpu(prepare),
            temperature=self.temperature_,
        )
        return self

    def sweep(
        self, X: Any, y: ArrayLike, queries: Any, values: Iterable[float]
    ) -> Iterator[tuple[float, NDArray[np.floating]]]:
        """Score queries with every temperature in `values`, from one fit.

        Yields
        ------
        temperature, probabilities
            In the order of `values`; probabilities as of `predict_proba`.
        """
        self.fit(X, y)
        for temperature in values:
            _check_temperature(temperature)
            self._temperature = self.temperature_ = temperature
            yield temperature, self.predict_proba(queries)

    def score_subsets(
        self,
        X: Any,
        y: NDArray[Any],
        subsets: Sequence[NDArray[np.intp]],
        queries: Any,
        values: Sequence[float] = (),
        *,
        asked: Sequence[NDArray[np.intp]] | None = None,
    ) -> Iterator[SubsetScores]:
        """Take the means of every subset of the rows, together; see `featstore.subset_scores`.

        Scores are what the temperature divides, up to a constant of the row.
        """
        self._check_parameters()
        X = features_of(self, X, reset=True)
        stream = RowStream.of(self, queries, reset=False)
        for heads in centroid_subsets(
            X,
            y,
            subsets,
            metric=self.metric,
            normalise=self.normalise,
            centre=self.centre,
            device=self.device,
        ):
            for scores in heads.score(stream, asked):
                for temperature in list(values) or [float("nan")]:
                    yield dataclasses.replace(scores, value=temperature)

    def _check_parameters(self) -> None:
        if self.metric not in ("euclidean", "cosine"):
            raise InvalidInputError(f"metric must be 'euclidean' or 'cosine', got {self.metric!r}")
        _check_temperature(self.temperature)


def _check_temperature(temperature: float | str) -> None:
    if isinstance(temperature, str):
        if temperature != "auto":
            raise InvalidInputError(f"temperature must be a number or 'auto', got {temperature!r}")
    elif not 0 < temperature < math.inf:
        raise InvalidInputError(f"temperature must be positive and finite, got {temperature}")


def _mean(stream: RowStream, device: torch.device) -> Tensor:
    total = torch.zeros(stream.shape[1], dtype=torch.float64, device=device)
    for _, block in stream.blocks(device):
        total += block.sum(dim=0, dtype=torch.float64)
    return total / len(stream)


def _average(per_group: Tensor, moments: ClassMoments) -> float:
    """Average over the rows of what is known of their groups."""
    return ((moments.counts * per_group).sum() / moments.counts.sum()).item()


def _on_cpu(prepare: UnitRows) -> UnitRows:
    return UnitRows(None if prepare.centre is None else prepare.centre.cpu())
