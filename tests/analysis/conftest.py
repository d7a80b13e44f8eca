"""Runs to analyse: two real probes of handwritten digits, and made ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from featstore.predictions import Predictions
from featstore.taxonomy import Taxonomy

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _probe(pixels, digits, *, n_train):
    model = LogisticRegression(C=0.01, max_iter=2000).fit(pixels[:n_train], digits[:n_train])
    return Predictions(
        ids=np.array([f"{row:04d}.png" for row in range(n_train, len(digits))]),
        classes=DIGITS,
        truth=digits[n_train:],
        scores=model.predict_proba(pixels[n_train:]).astype(np.float32),
        seen=np.ones(10, bool),
    )


@pytest.fixture(scope="session")
def sharp() -> Predictions:
    """Logistic regression on 8 × 8 pixels of digits."""
    images, digits = load_digits(return_X_y=True)
    return _probe(images, digits, n_train=600)


@pytest.fixture(scope="session")
def blurred() -> Predictions:
    """The same on 4 × 4 pixels: the same test rows, less to see."""
    images, digits = load_digits(return_X_y=True)
    coarse = images.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)
    return _probe(coarse, digits, n_train=600)


@pytest.fixture(scope="session")
def strokes() -> Taxonomy:
    """Digits by their curves: closed loops, open curves, straight lines; curved or not."""
    loops = dict.fromkeys(["zero", "six", "eight", "nine"], ("loops", "curved"))
    open_curves = dict.fromkeys(["two", "three", "five"], ("open curves", "curved"))
    straight = dict.fromkeys(["one", "four", "seven"], ("lines", "straight"))
    rows = [(name, *up) for name, up in (loops | open_curves | straight).items()]
    return Taxonomy.from_frame(pd.DataFrame(rows, columns=["digit", "stroke", "shape"]))


@pytest.fixture
def tagged() -> Predictions:
    """A multi-label run; the last class has no positives."""
    rng = np.random.default_rng(0)
    truth = rng.random((150, 5)) < 0.3
    truth[:, 4] = False
    scores = np.clip(rng.normal(0.35, 0.2, truth.shape) + 0.3 * truth, 0, 1).astype(np.float32)
    ids = np.array([f"{row}.tif" for row in range(150)])
    return Predictions(
        ids, ("forest", "crops", "water", "town", "ice"), truth, scores, np.ones(5, bool)
    )
