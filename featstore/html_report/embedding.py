"""Embedding: test rows on a plane, neighbours near each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from featstore.decisions import decided
from featstore.errors import InvalidInputError
from featstore.html_report.board import Board
from featstore.html_report.explorer import embedded
from featstore.id_order import id_hashes, sort_keys
from featstore.optional import import_optional
from featstore.store import FeatureStore

MapMethod = Literal["tsne", "umap"]
"""What places rows on the plane: t-SNE of scikit-learn, or UMAP of the package umap-learn."""

MAP_NAMES: dict[MapMethod, str] = {"tsne": "t-SNE", "umap": "UMAP"}

SAMPLE = 2000
"""Rows to place at most; the time grows faster than their number."""

_FEWEST = 10
_COMPONENTS = 50
_PERPLEXITY = 30.0
_NEIGHBOURS = 15
_PLACES = 1000


@dataclass(frozen=True, eq=False)
class Embedding:
    """A sample of the test rows on a plane.

    Attributes
    ----------
    features
        What was embedded.
    method
        By what, as people call it.
    n, n_test
        Rows that are shown, and test rows there are.
    document
        For the page: ``x``, ``y`` in thousandths of the width, ``truth`` and ``called``, places in
        ``classes``, and ``ids``.
    """

    features: tuple[str, ...]
    method: str
    n: int
    n_test: int
    document: Markup


def embedding(
    store: FeatureStore,
    board: Board,
    features: Sequence[str] | None = None,
    *,
    method: MapMethod = "tsne",
) -> Embedding | None:
    """Place a sample of a board's test rows on a plane.

    The sample depends on the ids of the rows alone.  Rows are scaled to unit length, block by
    block, and reduced to 50 principal components first (van der Maaten & Hinton 2008; McInnes,
    Healy & Melville 2018).

    Parameters
    ----------
    store
        Of the board's runs.
    board
        Its best run says what each row was taken for.
    features
        To embed; those of the best run by default.
    method
        See `MapMethod`.

    Returns
    -------
    embedding
        None for a multi-label board, and for fewer than ten rows.

    Raises
    ------
    FeatureNotFoundError, NotSealedError
        If a feature is not there or not finished.
    InvalidInputError
        If the method is none of these, or test rows are no longer stored.
    MissingDependencyError
        If umap-learn is asked for and not installed.
    """
    if method not in get_args(MapMethod):
        raise InvalidInputError(f"a map is made by tsne or umap, got {method!r}")
    if board.predictions.multilabel:
        return None
    config, run = board.best.run.config, decided(board.predictions)
    names = tuple(features or config.test_features or config.features)
    order = np.argsort(sort_keys(id_hashes(run.ids), "map"), kind="stable")[:SAMPLE]
    rows = _rows_of(store, run.ids[order])
    view = store.view(list(names), rows=rows)
    if len(view) < _FEWEST:
        return None
    shown = order[np.isin(rows, view.rows)]
    X = _unit_blocks(view.array(), [block.shape[1] for block in view.blocks])
    places = _placed(X, method)
    known, codes = np.unique(
        np.concatenate([run.truth[shown], run.predicted[shown]]), return_inverse=True
    )
    truth, called = codes.reshape(2, -1)
    return Embedding(
        features=names,
        method=MAP_NAMES[method],
        n=len(shown),
        n_test=len(run),
        document=embedded(
            {
                "x": places[:, 0].tolist(),
                "y": places[:, 1].tolist(),
                "truth": truth.tolist(),
                "called": called.tolist(),
                "classes": [run.classes[code] for code in known],
                "ids": run.ids[shown].tolist(),
            }
        ),
    )


def _rows_of(store: FeatureStore, ids: NDArray[np.str_]) -> NDArray[np.intp]:
    """Rows of the store with these ids, in their order."""
    every = store.samples.ids
    by_id = np.argsort(every, kind="stable")
    at = np.minimum(np.searchsorted(every, ids, sorter=by_id), len(every) - 1)
    rows = by_id[at]
    if missing := [str(name) for name in ids[every[rows] != ids]]:
        raise InvalidInputError(
            f"{len(missing)} test rows are not in {store.location} any more, e.g. {missing[0]}; "
            "make the run again, or leave the map out"
        )
    return rows


def _unit_blocks(X: NDArray[np.floating], dims: Sequence[int]) -> NDArray[np.float32]:
    blocks = np.split(X.astype(np.float32), np.cumsum(dims)[:-1], axis=1)
    lengths = [np.linalg.norm(block, axis=1, keepdims=True) for block in blocks]
    return np.concatenate(
        [
            block / np.where(length > 0, length, 1)
            for block, length in zip(blocks, lengths, strict=True)
        ],
        axis=1,
    )


def _placed(X: NDArray[np.float32], method: MapMethod) -> NDArray[np.intp]:
    """Coordinates in whole thousandths, shape (n, 2)."""
    from sklearn.decomposition import PCA

    n, d = X.shape
    if d > _COMPONENTS < n:
        X = PCA(_COMPONENTS, random_state=0).fit_transform(X)
    placed = _by_tsne(X) if method == "tsne" else _by_umap(X)
    low, high = placed.min(axis=0), placed.max(axis=0)
    # One scale for both axes: distances are compared across directions.
    centred = (placed - (low + high) / 2) / max(float((high - low).max()), 1e-12)
    places: NDArray[np.intp] = np.rint(_PLACES * (centred + 0.5)).astype(np.intp)
    return places


def _by_tsne(X: NDArray[np.float32]) -> NDArray[np.float32]:
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, (len(X) - 1) / 3)
    placed = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(X)
    return np.asarray(placed, np.float32)


def _by_umap(X: NDArray[np.float32]) -> NDArray[np.float32]:
    umap = import_optional("umap", extra="umap")
    # One thread: only then does the seed decide the map.
    reducer = umap.UMAP(n_neighbors=min(_NEIGHBOURS, len(X) - 1), random_state=0, n_jobs=1)
    return np.asarray(reducer.fit_transform(X), np.float32)
