"""Problems: where the data of the race come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits


def digits() -> tuple[NDArray[Any], NDArray[np.int64]]:
    """1,797 images of digits, for a first look."""
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y.astype(np.int64)


def power_law(n: int, d: int, k: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Many classes: normal rows whose spectrum falls as 1 / j, labels of a noisy linear rule.

    No real features of hundreds of classes come with a package; this spectrum is that of
    pretrained backbones.
    """
    rng = np.random.default_rng(0)
    scales = np.arange(1, d + 1) ** -0.5
    X = (rng.standard_normal((n, d), np.float32) * scales).astype(np.float32)
    rule = rng.standard_normal((d, k), np.float32) / scales[:, None].astype(np.float32) ** 0.5
    Z = X @ rule
    Z += rng.gumbel(size=Z.shape).astype(np.float32) * Z.std() / 2
    found, y = np.unique(Z.argmax(axis=1), return_inverse=True)
    assert len(found) == k, f"{k - len(found)} classes have no row"
    return X, y.astype(np.int64)


def load(source: str) -> tuple[str, NDArray[Any], NDArray[np.int64]]:
    """Read ``digits``, ``synthetic:N,D,K`` or an .npz file with X and y; classes become codes."""
    if source == "digits":
        return source, *digits()
    if source.startswith("synthetic:"):
        n, d, k = map(int, source.removeprefix("synthetic:").split(","))
        return f"synthetic {n} x {d}, {k} classes", *power_law(n, d, k)
    with np.load(source) as file:
        X, y = file["X"], file["y"]
    return Path(source).stem, X, np.unique(y, return_inverse=True)[1].astype(np.int64)
