"""A store of real features that needs no images: scikit-learn's 1,797 handwritten digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from small_store import fill

from featstore.samples import Samples, Target
from featstore.store import FeatureStore

TAGS = {"even": {0, 2, 4, 6, 8}, "prime": {2, 3, 5, 7}, "large": {5, 6, 7, 8, 9}}


def digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return pixels in [0, 1], shape (1797, 64), exact in float16, and the digits."""
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y


def make_digits_store(path: Path, *, val: int = 0, n_train: int = 1000) -> FeatureStore:
    """Features ``pixels`` and ``pca``; targets ``digit`` and (multi-label) ``tags``."""
    X, y = digits()
    splits = np.asarray(["train"] * n_train + ["val"] * val + ["test"] * (len(X) - n_train - val))
    targets = {
        "digit": Target.from_labels([f"digit {d}" for d in y]),
        "tags": Target.from_label_sets(
            [[name for name, members in TAGS.items() if d in members] for d in y.tolist()]
        ),
    }
    ids = np.asarray([f"{i:04d}.png" for i in range(len(X))])
    store = FeatureStore.create(path, Samples(ids, splits, targets))
    fill(store, "pixels", X)
    pca = PCA(16, random_state=0).fit(X[:n_train]).transform(X)
    fill(store, "pca", pca.astype(np.float32), dtype="float32")
    return store
