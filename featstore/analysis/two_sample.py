"""TwoSample: whether a classifier can tell two samples apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from featstore import registry
from featstore.analysis.mmd import check_samples
from featstore.errors import InvalidInputError
from featstore.folds import stratified_folds


@dataclass(frozen=True)
class TwoSample:
    """How well a logistic probe tells two samples apart.

    Attributes
    ----------
    accuracy
        Cross-validated, each sample counting half: 0.5 for equal ones.
    auc
        Chance that a row of the second sample scores above one of the first; mean over the folds.
    a_distance
        Proxy A-distance 2 (1 - 2 ε) of the error ε = 1 - accuracy: 0 for equal samples, 2 for
        separable ones; not below 0.
    p
        Of the test on the half of the rows that one probe was not fitted to.
    auc_half
        That it is a test of.
    """

    accuracy: float
    auc: float
    a_distance: float
    p: float
    auc_half: float


def classifier_two_sample(
    X: NDArray[np.floating],
    Y: NDArray[np.floating],
    *,
    C: float = 0.01,
    folds: int = 5,
    seed: int = 0,
    device: str = "cpu",
) -> TwoSample:
    """Let a logistic probe guess which sample a row is from.

    Columns are standardised by the pooled rows, samples weigh alike.  Two things are asked:

    - How different are they?  Accuracy, AUC and A-distance, cross-validated over `folds`.
    - Could that be chance?  A probe of one half of the rows scores the other half, and p is that of
      the one-sided Mann-Whitney test.  Given the first half, all orders of the other half's labels
      are alike if the samples have one distribution, so the test keeps its level.  Over the folds
      it would not: they share rows, and their results depend on each other.

    Lopez-Paz & Oquab test the accuracy on the half; the AUC does not depend on how many rows each
    sample has.

    Parameters
    ----------
    X, Y
        Shapes (n, d) and (m, d).
    C
        Of the logistic probe.
    folds
        Of the cross-validation.
    seed
        Of the halves and the folds.
    device
        That the probe is fitted on.

    Raises
    ------
    InvalidInputError
        If shapes do not fit, values are missing or infinite, or a sample has fewer rows than
        folds, or than four.

    References
    ----------
    Lopez-Paz & Oquab (2017), Revisiting classifier two-sample tests, ICLR.  Ben-David et al.
    (2007), Analysis of representations for domain adaptation, NeurIPS (A-distance).  Mann & Whitney
    (1947), On a test of whether one of two random variables is stochastically larger than the
    other, Annals of Mathematical Statistics 18.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> result = classifier_two_sample(rng.normal(size=(80, 3)), 2 + rng.normal(size=(60, 3)))
    >>> bool(result.accuracy > 0.9), bool(result.p < 1e-6)
    (True, True)
    """
    check_samples(X, Y)
    least = min(len(X), len(Y))
    if least < max(folds, 4):
        raise InvalidInputError(
            f"{least} rows of a sample are too few: at least {max(folds, 4)} are needed, one for "
            "each fold"
        )
    rows = np.concatenate([X, Y]).astype(np.float32)
    spread = rows.std(axis=0, dtype=np.float64)
    rows = (rows - rows.mean(axis=0, dtype=np.float64)) / np.where(spread > 0, spread, 1)
    rows = rows.astype(np.float32)
    second = np.repeat(np.array([0, 1]), (len(X), len(Y)))
    probe: Any = registry.probe("logistic")(C=C, class_weight="balanced", device=device)

    scores, aucs = np.empty(len(rows)), []
    fold_of = stratified_folds(second, folds, seed=seed)
    for fold in range(folds):
        held_out = fold_of == fold
        probe.fit(rows[~held_out], second[~held_out])
        scores[held_out] = probe.predict_proba(rows[held_out])[:, 1]
        aucs.append(_auc(scores[held_out], second[held_out])[0])
    right = (scores > 0.5) == second
    accuracy = float((right[second == 0].mean() + right[second == 1].mean()) / 2)

    half = stratified_folds(second, 2, seed=seed) == 0
    probe.fit(rows[half], second[half])
    auc_half, p = _auc(probe.predict_proba(rows[~half])[:, 1], second[~half])
    return TwoSample(
        accuracy=accuracy,
        auc=float(np.mean(aucs)),
        a_distance=max(0.0, 2 * (2 * accuracy - 1)),
        p=p,
        auc_half=auc_half,
    )


def _auc(scores: NDArray[np.float64], second: NDArray[np.intp]) -> tuple[float, float]:
    """AUC, and the one-sided p of the test that it is above 1/2."""
    a, b = scores[second == 1], scores[second == 0]
    test = mannwhitneyu(a, b, alternative="greater")
    return float(test.statistic) / (len(a) * len(b)), float(test.pvalue)
