"""KNNProbe: weighted nearest-neighbour votes, with the whole grid over k from one search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from featstore.errors import InvalidInputError
from featstore.probes.device import DeviceName
from featstore.probes.inputs import Targets, blocks, features_of
from featstore.probes.neighbours import FaissSearch, Metric, Search, TorchSearch, nearest
from featstore.probes.votes import shares, softmax_votes

QUERY_ROWS = 1024
_SIMILARITIES = 2**26  # per block: 256 MiB of float32


class KNNProbe(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """k nearest neighbours with votes exp(similarity / temperature).

    The protocol of Wu et al. 2018 (instance discrimination) and of DINO and DINOv2
    (``dinov2/eval/knn.py``, k in 10, 20, 100, 200 and temperature 0.07).

    Parameters
    ----------
    k
        Neighbours per query.
    temperature
        Of the votes; unused with ``weights="uniform"``.
    metric
        ``"cosine"``: rows are divided by their l2 norm, zero rows stay zero, and the similarity
        is the inner product.  ``"euclidean"``: the similarity is minus the distance.
    weights
        ``"softmax"`` or ``"uniform"``, one vote per neighbour.
    engine
        ``"torch"`` or ``"faiss"``, an exact flat index; both search in float32.
    device
        ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA where there is some; torch engine only.

    Attributes
    ----------
    classes_
        Class labels in sorted order, shape (c,); for an indicator its column numbers.
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
    counts_rows: ClassVar[bool] = True

    def __init__(
        self,
        k: int = 20,
        *,
        temperature: float = 0.07,
        metric: Metric = "cosine",
        weights: Literal["softmax", "uniform"] = "softmax",
        engine: Literal["torch", "faiss"] = "torch",
        device: DeviceName = "cpu",
    ) -> None:
        self.k = k
        self.temperature = temperature
        self.metric = metric
        self.weights = weights
        self.engine = engine
        self.device = device

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Keep the training rows, prepared for the metric, in float32.

        Parameters
        ----------
        X
            Features (n, d): NumPy array, torch tensor, or anything with ``array()`` or
            ``__array__``; float16, float32 or float64.
        y
            Labels (n,) of any dtype, or an indicator (n, c) of 0 and 1.

        Raises
        ------
        InvalidInputError
            If X holds NaN or infinity, y has another length, k > n, or a parameter is unknown.
        """
        self._check_parameters()
        features = features_of(self, X, reset=True)
        targets = Targets.of(y, n_samples=len(features))
        self.classes_ = targets.classes
        self._labels = targets.labels
        self._n_train = len(features)
        self._check_k(self.k)
        # Centring leaves distances as they are and saves their digits in float32.
        centre = self.metric == "euclidean"
        self._mean = features.mean(axis=0, dtype=np.float64) if centre else None
        train = np.empty(features.shape, dtype=np.float32)
        for rows in blocks(len(features)):
            train[rows] = self._prepare(features[rows])
        self._search: Search
        if self.engine == "torch":
            self._search = TorchSearch(train, metric=self.metric, device=self.device)
        else:
            self._search = FaissSearch(train, metric=self.metric)
        return self

    def kneighbors(
        self, X: Any, k: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the nearest training rows.

        Parameters
        ----------
        X
            Queries (n, d).
        k
            Neighbours per query; default the probe's.

        Returns
        -------
        neighbours
            Training rows, shape (n, k), nearest first.
        similarities
            Theirs, shape (n, k), in descending order.
        """
        features, k = self._queries(X), self._check_k(self.k if k is None else k)
        neighbours = np.empty((len(features), k), dtype=np.int64)
        similarities = np.empty((len(features), k), dtype=np.float32)
        for rows in self._query_blocks(len(features)):
            neighbours[rows], similarities[rows] = self._nearest(features[rows], k)
        return neighbours, similarities

    def votes(
        self, neighbours: NDArray[np.int64], similarities: NDArray[np.float32], k: int
    ) -> NDArray[np.float64]:
        """Class probabilities from the first k neighbours, shape (n, c).

        Parameters
        ----------
        neighbours, similarities
            From `kneighbors`, shape (n, k') with k' >= k.
        k
            Neighbours that vote.
        """
        if not 1 <= k <= neighbours.shape[1]:
            raise InvalidInputError(
                f"k must lie between 1 and the {neighbours.shape[1]} neighbours given, got {k}"
            )
        weights = np.ones((len(neighbours), k))
        if self.weights == "softmax":
            weights = softmax_votes(similarities[:, :k], temperature=self.temperature)
        return shares(weights, neighbours[:, :k], self._labels, n_classes=len(self.classes_))

    def predict_proba_grid(self, X: Any, ks: Sequence[int]) -> NDArray[np.float64]:
        """Class probabilities for several k from one search, shape (len(ks), n, c)."""
        features, deepest = self._queries(X), max(map(self._check_k, ks), default=1)
        proba = np.empty((len(ks), len(features), len(self.classes_)))
        for rows in self._query_blocks(len(features)):
            neighbours, similarities = self._nearest(features[rows], deepest)
            for i, k in enumerate(ks):
                proba[i, rows] = self.votes(neighbours, similarities, k)
        return proba

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Class probabilities, shape (n, c); for an indicator one per label, independent."""
        proba: NDArray[np.float64] = self.predict_proba_grid(X, [self.k])[0]
        return proba

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels, shape (n,), or for an indicator 0 and 1, shape (n, c)."""
        features, k = self._queries(X), self._check_k(self.k)
        predicted = []
        for rows in self._query_blocks(len(features)):
            proba = self.votes(*self._nearest(features[rows], k), k)
            predicted.append(proba > 0.5 if self._labels.ndim == 2 else proba.argmax(axis=1))
        codes = np.concatenate(predicted)
        labels: NDArray[Any] = self.classes_[codes] if codes.ndim == 1 else codes.astype(np.int64)
        return labels

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

    def _check_parameters(self) -> None:
        choices = {
            "metric": ("cosine", "euclidean"),
            "weights": ("softmax", "uniform"),
            "engine": ("torch", "faiss"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise InvalidInputError(
                    f"{name} must be one of {', '.join(map(repr, allowed))}, "
                    f"got {getattr(self, name)!r}"
                )
        if not self.temperature > 0:
            raise InvalidInputError(f"temperature must be positive, got {self.temperature}")
        if self.engine == "faiss" and self.device == "cuda":
            raise InvalidInputError(
                "engine='faiss' searches on the CPU; use engine='torch' on CUDA"
            )

    def _check_k(self, k: int) -> int:
        n_train = self._n_train
        if not 1 <= k <= n_train:
            raise InvalidInputError(
                f"k={k} neighbours cannot be had from n_samples={n_train} training rows: "
                f"k must lie between 1 and {n_train}"
            )
        return k

    def _queries(self, X: Any) -> NDArray[np.floating]:
        check_is_fitted(self)
        return features_of(self, X, reset=False)

    def _query_blocks(self, n: int) -> Iterator[slice]:
        return blocks(n, min(QUERY_ROWS, max(16, _SIMILARITIES // self._n_train)))

    def _nearest(
        self, features: NDArray[np.floating], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        return nearest(self._search, self._prepare(features), k)

    def _prepare(self, block: NDArray[np.floating]) -> NDArray[np.float32]:
        """Centre or normalise a block of rows in float64, and round it to float32."""
        rows = block.astype(np.float64)
        if self._mean is not None:
            rows -= self._mean
        else:
            norms = np.linalg.norm(rows, axis=1, keepdims=True)
            rows /= np.where(norms > 0, norms, 1.0)
        return rows.astype(np.float32)
