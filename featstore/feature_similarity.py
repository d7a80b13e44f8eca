"""similarity: how alike the features of a store are, before any probe is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from featstore.analysis.similarity import MEASURES, Measure, SimilaritySettings
from featstore.analysis.similarity import similarity as similarity_of_blocks
from featstore.errors import InvalidInputError
from featstore.store import FeatureStore


def similarity(
    store: FeatureStore | str | Path,
    features: Sequence[str] | None = None,
    *,
    split: str | None = None,
    measures: Sequence[Measure] = MEASURES,
    k: int = 10,
    n_rows: int = 2048,
    variance: float = 0.99,
    folds: int = 5,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure how alike the features of a store are.

    Parameters
    ----------
    store
        The store, or its path.
    features
        Two or more; all complete ones by default.
    split
        Rows to look at; all by default.
    measures
        Some of ``"cka"``, ``"cka_biased"``, ``"mutual_knn"``, ``"svcca"``, ``"pwcca"``, ``"r2"``.
    k, n_rows, variance, folds, seed
        See `featstore.analysis.similarity.SimilaritySettings`.

    Returns
    -------
    frame
        a, b, measure, value; see `featstore.analysis.similarity.similarity`.

    Raises
    ------
    FeatureNotFoundError, NotSealedError
        If a feature or the split is not there or not finished.
    InvalidInputError
        If there are fewer than two features, or their values cannot be compared.
    """
    if not isinstance(store, FeatureStore):
        store = FeatureStore.open(store)
    if features is None:
        features = [name for name in store.features if store.feature(name).sealed]
    if len(features) < 2:
        raise InvalidInputError(
            f"similarity is of two features or more, got {list(features)}; {store.location} has "
            f"{', '.join(store.features) or 'none'}"
        )
    settings = SimilaritySettings(tuple(measures), k, n_rows, variance, folds, seed)
    # Views that are made together leave out the same rows.
    view = store.view(features, split=split)
    return similarity_of_blocks({block.name: block for block in view.blocks}, settings)
