"""Turns: a probe and scikit-learn's estimator of the same kind, one after the other, to the end."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore import registry
from featstore.errors import InvalidInputError
from featstore.suggest import did_you_mean


@dataclass(frozen=True)
class Turn:
    """One probe and its counterpart: fitted to training rows, then asked about test rows.

    Attributes
    ----------
    probe, counterpart
        Names.
    cpu_s, counterpart_cpu_s
        CPU seconds of fit and prediction, medians over the repeats.
    ratio
        Median of the ratios within a repeat, above 1 where featstore is faster.
    repeats
        How often both ran.
    agreement
        Share of test rows that both predict alike.
    """

    probe: str
    counterpart: str
    cpu_s: float
    counterpart_cpu_s: float
    ratio: float
    repeats: int
    agreement: float


def _ridge() -> Any:
    from sklearn.linear_model import RidgeClassifier

    return RidgeClassifier(1.0)


def _lda() -> Any:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)


def _knn() -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(20, metric="cosine", algorithm="brute")


def _svm() -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(C=0.01, loss="squared_hinge", dual="auto")


#: Probe -> its arguments, the counterpart's name, and how to make it.
PAIRS: dict[str, tuple[dict[str, Any], str, Callable[[], Any]]] = {
    "ridge": ({"alpha": 1.0}, "RidgeClassifier", _ridge),
    "lda": ({"shrinkage": 0.1}, "LinearDiscriminantAnalysis", _lda),
    "knn": ({"k": 20, "weights": "uniform"}, "KNeighborsClassifier", _knn),
    "svm": ({"C": 0.01, "intercept_scaling": 1.0}, "LinearSVC", _svm),
}


def take_turns(
    probe: str,
    X: NDArray[Any],
    y: NDArray[Any],
    queries: NDArray[Any],
    *,
    repeats: int,
    budget: float,
) -> Turn:
    """Fit both and predict `repeats` times, or until the budget is used up.

    Parameters
    ----------
    probe
        One of `PAIRS`.
    X, y
        Training rows, shape (n, d), and their classes, shape (n,).
    queries
        Test rows, shape (m, d).
    repeats, budget
        Repeats at most; no new one begins after so many CPU seconds.

    Raises
    ------
    InvalidInputError
        If there is no such pair.
    """
    from sklearn.exceptions import ConvergenceWarning

    if probe not in PAIRS:
        raise InvalidInputError(
            f"there is no race for the probe {probe!r}. {did_you_mean(probe, ['logistic', *PAIRS])}"
        )
    arguments, counterpart, make = PAIRS[probe]
    makers = (lambda: registry.probe(probe)(**arguments), make)
    cpu: tuple[list[float], list[float]] = ([], [])
    predicted: list[NDArray[Any]] = [y, y]
    for repeat in range(repeats):
        if repeat and sum(map(sum, cpu)) > budget:
            break
        for which in (0, 1) if repeat % 2 == 0 else (1, 0):
            model = makers[which]()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                start = time.process_time()
                predicted[which] = model.fit(X, y).predict(queries)
                cpu[which].append(time.process_time() - start)
    return Turn(
        probe=probe,
        counterpart=counterpart,
        cpu_s=float(np.median(cpu[0])),
        counterpart_cpu_s=float(np.median(cpu[1])),
        ratio=float(np.median(np.divide(cpu[1], cpu[0]))),
        repeats=len(cpu[0]),
        agreement=float((predicted[0] == predicted[1]).mean()),
    )
