"""KNNProbe: weighted nearest-neighbour votes, with all k and temperatures from one search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from featstore.ceiling import parse_bytes
from featstore.errors import InvalidInputError
from featstore.probes import saved_index
from featstore.probes.device import DeviceName, device_of
from featstore.probes.engine import Engine, index_of, name_of
from featstore.probes.inputs import Targets
from featstore.probes.knn_parameters import (
    check_k,
    check_parameters,
    check_temperature,
    loo_candidates,
)
from featstore.probes.leave_one_out import best_cell, leave_one_out_scores
from featstore.probes.neighbour_vote import NeighbourVote
from featstore.probes.neighbours import Metric
from featstore.probes.row_search import Found, RowSearch
from featstore.probes.stream import RowStream
from featstore.probes.votes import Weights, shares, weigh


class KNNProbe(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """k nearest neighbours with votes exp(similarity / temperature).

    The protocol of Wu et al. 2018 (instance discrimination) and of DINO and DINOv2
    (``dinov2/eval/knn.py``, k in 10, 20, 100, 200 and temperature 0.07).

    Parameters
    ----------
    k
        Neighbours per query; ``"loo"`` for the one of `ks` that is best on the training rows,
        each predicted by the others.
    temperature
        Of the votes; used with ``weights="softmax"`` only.
    ks
        Candidates of ``"loo"``; by default 1, 2, 5, 10, 20, 50, 100, 200, those below the number
        of training rows.
    temperatures
        Candidates of ``"loo"``, chosen together with k; by default `temperature` alone.
    metric
        ``"cosine"``: rows are divided by their l2 norm, zero rows stay zero, and the similarity
        is the inner product.  ``"euclidean"``: the similarity is minus the distance.
    weights
        ``"softmax"``; ``"uniform"``, one vote per neighbour; or ``"distance"``, 1 / distance,
        of a euclidean search.
    engine
        ``"torch"`` or ``"faiss"``, which are exact; ``"faiss-ivf"``, ``"faiss-hnsw"``, or
        `InvertedLists` or `NeighbourGraph` with parameters of their own, which are approximate.
        All search in float32.
    max_memory
        Bytes, or e.g. ``"2GB"``, that the search may take.  Training rows whose float32 copy is
        too large for it, or for the ceiling of the view that they come from, are not copied, but
        read in tiles by every search, with the same results to the bit; torch engine only.
    device
        ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA where there is some; torch engine only.

    Attributes
    ----------
    classes_
        Class labels in sorted order, shape (c,); for an indicator its column numbers.
    k_, temperature_
        Those that vote.
    chosen_by_
        The rule that chose them; empty if they were given.
    leave_one_out_scores_
        With ``k="loo"``: data frame of ``k``, ``temperature`` and ``score`` (accuracy, or
        micro-F1 for an indicator).
    certificate_
        `NeighbourVote`: engine, votes, recall of an approximate search.
    n_features_in_
        Columns of the training features, d.

    Notes
    -----
    Ties: of neighbours with equal float32 similarity the lower training row comes first, at the
    k-th place too; of classes with equal votes the first in `classes_` is predicted.  A label of
    an indicator is predicted when more than half of the votes have it.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> KNNProbe(k=5).fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.95
    True
    """

    #: The hyper-parameter that validation rows choose.
    parameter: ClassVar[str] = "k"
    parameter_type: ClassVar[type[float]] = int
    stronger: ClassVar[str] = "larger"
    counts_rows: ClassVar[bool] = True
    streams: ClassVar[bool] = True

    def __init__(
        self,
        k: int | Literal["loo"] = 20,
        *,
        temperature: float = 0.07,
        ks: Sequence[int] | None = None,
        temperatures: Sequence[float] | None = None,
        metric: Metric = "cosine",
        weights: Weights = "softmax",
        engine: Engine = "torch",
        max_memory: int | str | None = None,
        device: DeviceName = "cpu",
    ) -> None:
        self.k = k
        self.temperature = temperature
        self.ks = ks
        self.temperatures = temperatures
        self.metric = metric
        self.weights = weights
        self.engine = engine
        self.max_memory = max_memory
        self.device = device

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Keep the training rows, prepared for the metric, in float32.

        Parameters
        ----------
        X
            Features (n, d): NumPy array, torch tensor, anything with ``array()`` or
            ``__array__``, or a view with ``batches()``, which is read in pieces; float16,
            float32 or float64.  Where `max_memory` does not admit a copy, X itself is kept.
        y
            Labels (n,) of any dtype, or an indicator (n, c) of 0 and 1.

        Raises
        ------
        InvalidInputError
            If X holds NaN or infinity, y has another length, k > n, or a parameter is unknown.
        MemoryCeilingError
            If `max_memory` is too small to search at all.
        """
        check_parameters(self)
        stream = RowStream.of(self, X, reset=True)
        self._adopt(Targets.of(y, n_samples=len(stream)))
        ceiling = None if self.max_memory is None else parse_bytes(self.max_memory)
        self._search = RowSearch.of(
            stream,
            metric=self.metric,
            k=max(self._candidates()),
            index=index_of(self.engine),
            max_memory=ceiling,
            device=self._where,
        )
        return self._settle()

    def fit_from_index(self, data: bytes, y: ArrayLike) -> Self:
        """Search in the training rows that `index_bytes` has kept, with any labels.

        Parameters
        ----------
        data
            What `index_bytes` gave; only from where you trust.
        y
            Labels of the rows, as for `fit`.

        Raises
        ------
        InvalidInputError
            If these are other bytes, or of an index for another engine or metric.
        """
        check_parameters(self)
        saved, engine = saved_index.from_bytes(data)
        if (engine, saved.metric) != (name_of(self.engine), self.metric):
            raise InvalidInputError(
                f"the index was made by engine={engine!r} for metric={saved.metric!r}, the "
                f"probe has engine={name_of(self.engine)!r} and metric={self.metric!r}: they must "
                "be equal"
            )
        self._adopt(Targets.of(y, n_samples=saved.n_train))
        self._candidates()
        self._search = saved
        self.n_features_in_: int = saved.budget.d
        return self._settle()

    def index_bytes(self) -> bytes:
        """Return the faiss index, to be kept by the caller; `fit_from_index` takes it.

        An ``npz`` archive of ``index`` (the bytes that `faiss.deserialize_index` reads), the
        centre of a euclidean search, and JSON about both.  Labels are not in it.

        Raises
        ------
        InvalidInputError
            If the engine is torch, which keeps no index.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> X, y = load_digits(return_X_y=True)
        >>> probe = KNNProbe(k=5, engine="faiss-hnsw").fit(X, y)
        >>> other = KNNProbe(k=1, engine="faiss-hnsw").fit_from_index(probe.index_bytes(), y > 4)
        >>> other.predict(X[:3])
        array([False, False, False])
        """
        check_is_fitted(self)
        return saved_index.to_bytes(self._search)

    def kneighbors(
        self, X: Any = None, k: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the nearest training rows.

        Parameters
        ----------
        X
            Queries (n, d); without them the training rows, none of which is its own neighbour.
        k
            Neighbours per query; default the probe's.

        Returns
        -------
        neighbours
            Training rows, shape (n, k), nearest first.
        similarities
            Theirs, shape (n, k), in descending order.
        """
        check_is_fitted(self)
        wanted = self.k_ if k is None else k
        parts = self._left_out(wanted) if X is None else self._found(X, wanted)
        _, neighbours, similarities = zip(*parts, strict=True)
        return np.concatenate(neighbours), np.concatenate(similarities)

    def votes(
        self,
        neighbours: NDArray[np.int64],
        similarities: NDArray[np.float32],
        k: int,
        temperature: float | None = None,
    ) -> NDArray[np.float64]:
        """Class probabilities from the first k neighbours, shape (n, c).

        Parameters
        ----------
        neighbours, similarities
            From `kneighbors`, shape (n, k') with k' >= k.
        k
            Neighbours that vote.
        temperature
            Of the votes; default the probe's.
        """
        check_is_fitted(self)
        if not 1 <= k <= neighbours.shape[1]:
            raise InvalidInputError(
                f"k must lie between 1 and the {neighbours.shape[1]} neighbours given, got {k}"
            )
        temperature = self.temperature_ if temperature is None else temperature
        check_temperature(temperature)
        weights = weigh(similarities[:, :k], self.weights, temperature=temperature)
        return shares(weights, neighbours[:, :k], self._labels, n_classes=len(self.classes_))

    def predict_proba_grid(
        self, X: Any, ks: Sequence[int], temperatures: Sequence[float] | None = None
    ) -> NDArray[np.float64]:
        """Class probabilities for several k, and temperatures, from one search.

        Returns
        -------
        proba
            Shape (len(ks), n, c); with `temperatures` (len(ks), len(temperatures), n, c).
        """
        check_is_fitted(self)
        stream = RowStream.of(self, X, reset=False)
        given = [self.temperature_] if temperatures is None else temperatures
        proba = np.empty((len(ks), len(given), len(stream), len(self.classes_)))
        deepest = max((check_k(k, self._n_train) for k in ks), default=1)
        for rows, neighbours, similarities in self._found(stream, deepest):
            for i, k in enumerate(ks):
                for j, temperature in enumerate(given):
                    proba[i, j, rows] = self.votes(neighbours, similarities, k, temperature)
        return proba[:, 0] if temperatures is None else proba

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Class probabilities, shape (n, c); for an indicator one per label, independent."""
        check_is_fitted(self)
        proba: NDArray[np.float64] = self.predict_proba_grid(X, [self.k_])[0]
        return proba

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels, shape (n,), or for an indicator 0 and 1, shape (n, c)."""
        check_is_fitted(self)
        predicted = []
        for _, neighbours, similarities in self._found(X, self.k_):
            proba = self.votes(neighbours, similarities, self.k_)
            predicted.append(proba > 0.5 if self._labels.ndim == 2 else proba.argmax(axis=1))
        codes = np.concatenate(predicted)
        labels: NDArray[Any] = self.classes_[codes] if codes.ndim == 1 else codes.astype(np.int64)
        return labels

    def leave_one_out(self) -> NDArray[np.float64]:
        """Class probabilities of the training rows, each from its neighbours among the others.

        As if the probe were fitted n times, each time without the row; a copy of the row among
        the others counts.  Shape (n, c).

        Raises
        ------
        InvalidInputError
            If k is not below n.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> X, y = load_digits(return_X_y=True)
        >>> bool((KNNProbe(k=5).fit(X, y).leave_one_out().argmax(axis=1) == y).mean() > 0.95)
        True
        """
        check_is_fitted(self)
        proba: NDArray[np.float64] = np.concatenate(
            [
                self.votes(neighbours, similarities, self.k_)
                for _, neighbours, similarities in self._left_out(self.k_)
            ]
        )
        return proba

    def sweep(
        self, X: Any, y: ArrayLike, queries: Any, values: Iterable[float]
    ) -> Iterator[tuple[float, NDArray[np.floating]]]:
        """Score queries with every k in `values`, all from one search.

        Yields
        ------
        k, probabilities
            In the order of `values`; probabilities as of `predict_proba`.
        """
        ks = [int(k) for k in values]
        deepest = clone(self).set_params(k=max(ks)).fit(X, y)
        self.classes_ = deepest.classes_
        neighbours, similarities = deepest.kneighbors(queries)
        for k in ks:
            yield float(k), deepest.votes(neighbours, similarities, k)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @property
    def _where(self) -> torch.device:
        return device_of(self.device if index_of(self.engine) is None else "cpu")

    def _adopt(self, targets: Targets) -> None:
        self.classes_ = targets.classes
        self._labels = targets.labels
        self._n_train = len(targets.labels)

    def _settle(self) -> Self:
        """Choose k and temperature if asked to, and say how the probe works."""
        ks, score = self._candidates(), None
        self.k_, self.temperature_, self.chosen_by_ = ks[0], self.temperature, ""
        if self.k == "loo":
            self.leave_one_out_scores_ = leave_one_out_scores(
                self._left_out(max(ks)),
                self.votes,
                self._labels,
                ks=ks,
                temperatures=[self.temperature] if self.temperatures is None else self.temperatures,
            )
            self.k_, self.temperature_, score = best_cell(self.leave_one_out_scores_)
            self.chosen_by_ = "leave-one-out"
        recall = self._search.recall
        self.certificate_ = NeighbourVote(
            name_of(self.engine),
            self.k_,
            float(self.temperature_),
            recall.share,
            recall.n_queries,
            score,
        )
        return self

    def _found(self, X: Any, k: int) -> Iterator[Found]:
        stream = X if isinstance(X, RowStream) else RowStream.of(self, X, reset=False)
        return self._search.neighbours(stream, check_k(k, self._n_train))

    def _left_out(self, k: int) -> Iterator[Found]:
        return self._search.left_out(check_k(k, self._n_train, left_out=True))

    def _candidates(self) -> list[int]:
        """Every k that may vote."""
        if self.k != "loo":
            return [check_k(self.k, self._n_train)]
        return loo_candidates(self.ks, self._n_train)
