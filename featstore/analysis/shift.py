"""Shift: how far the features of two sets of rows are apart, by several measures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.block_moments import as_source
from featstore.analysis.frechet import frechet_distance, random_frechet
from featstore.analysis.mmd import check_samples, mmd
from featstore.analysis.mutual_neighbours import sample_rows
from featstore.analysis.two_sample import classifier_two_sample


def shift(
    X: Any,
    Y: Any,
    *,
    n_rows: int = 5000,
    C: float = 0.01,
    folds: int = 5,
    n_permutations: int = 200,
    seed: int = 0,
    device: str = "cpu",
) -> pd.DataFrame:
    """Measure whether two sets of rows have features of one distribution.

    Parameters
    ----------
    X, Y
        Shapes (n, d) and (m, d): views, arrays or tensors.
    n_rows
        Rows of each that are looked at, at most: a random sample.  Bounds memory and time.
    C, folds, device
        Of the classifier, see `classifier_two_sample`.
    n_permutations
        Of the test by `mmd`.
    seed
        Of everything that is drawn.

    Returns
    -------
    measures
        Columns measure, value, reference (what equal sets have), p (NaN where there is no test):

        - accuracy, auc, a_distance: of a logistic probe that tells the sets apart.
        - held_out_auc: of a probe of one half on the other, with its p.
        - mmd2: unbiased, with a Gaussian kernel, and the p of a permutation test.
        - frechet: of the Gaussians; the reference is the mean of random divisions.

    Raises
    ------
    InvalidInputError
        If shapes do not fit, there are too few rows, or values are missing or infinite.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> frame = shift(X[:120], X[120:] + 1)
    >>> frame["measure"].tolist(), bool((frame["p"].dropna() < 0.01).all())
    (['accuracy', 'auc', 'a_distance', 'held_out_auc', 'mmd2', 'frechet'], True)
    """
    a, b = (_sample(block, n_rows, seed=seed) for block in (X, Y))
    check_samples(a, b)
    guess = classifier_two_sample(a, b, C=C, folds=folds, seed=seed, device=device)
    kernel = mmd(a, b, n_permutations=n_permutations, seed=seed)
    rows = [
        ("accuracy", guess.accuracy, 0.5, np.nan),
        ("auc", guess.auc, 0.5, np.nan),
        ("a_distance", guess.a_distance, 0.0, np.nan),
        ("held_out_auc", guess.auc_half, 0.5, guess.p),
        ("mmd2", kernel.value, 0.0, kernel.p),
        ("frechet", frechet_distance(a, b), random_frechet(a, b, seed=seed), np.nan),
    ]
    return pd.DataFrame(rows, columns=["measure", "value", "reference", "p"])


def _sample(X: Any, n_rows: int, *, seed: int) -> NDArray[np.floating]:
    source = as_source(X)
    rows = sample_rows(source.shape[0], n_rows, seed=seed)
    taken = source[rows] if isinstance(source, np.ndarray) else source.take(rows)
    return np.asarray(taken, np.float64)
