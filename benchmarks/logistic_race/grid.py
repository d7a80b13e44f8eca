"""Grid: all values of C of a protocol, and many labels at a time."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from featstore.presets import preset
from featstore.probes import LogisticProbe, logistic_path
from featstore.race.problem import Problem

_ACCURACY = 1e-4
_TIGHT: dict[str, Any] = {"tol": 1e-8, "max_iter": 20_000, "dtype": "float64"}

Theta = NDArray[Any]


@dataclass(frozen=True)
class Work:
    """One way to do a whole piece of work.

    Times are medians over the repeats, ratios medians of the ratios to featstore's time in the
    same repeat.  `worst` is the largest relative suboptimality of any C, or of any label.
    """

    work: str
    contestant: str
    cpu_s: float
    wall_s: float
    cpu_ratio: float
    wall_ratio: float
    worst: float


def grid(name: str, X: NDArray[Any], y: NDArray[np.int64], *, repeats: int) -> list[Work]:
    """Fit the 45 values of C of `dinov2-logreg`, the 25 of them up to 1, and one alone.

    scikit-learn runs as the protocol does: at most 1,000 iterations, tolerance 1e-12.
    """

    def scikit_learn(Cs: Sequence[float]) -> list[Theta]:
        wide = X.astype(np.float64)
        fits = (LogisticRegression(C=C, max_iter=1000, tol=1e-12).fit(wide, y) for C in Cs)
        return [_theta(model) for model in fits]

    def featstore(Cs: Sequence[float], **options: Any) -> list[Theta]:
        return [_theta(probe) for probe in logistic_path(X, y, Cs, **options)]

    every = preset("dinov2-logreg").values
    found = []
    for what, Cs in (
        (f"{len(every)} values of C", every),
        ("the 25 up to C = 1", [C for C in every if C <= 1]),
        ("C = 1 alone", [1.0]),
    ):
        found += _compare(
            f"{name}: {what}",
            {
                "featstore": lambda Cs=Cs: featstore(Cs, tol=_ACCURACY),
                "scikit-learn": lambda Cs=Cs: scikit_learn(Cs),
            },
            [Problem(name, X, y, C).objective for C in Cs],
            featstore(Cs, **_TIGHT),
            repeats=repeats,
        )
    return found


def labels(name: str, X: NDArray[Any], y: NDArray[np.int64], *, repeats: int) -> list[Work]:
    """Fit 40 labels at C = 0.01: each says whether a row is of one of five random classes."""
    rng, C = np.random.default_rng(0), 0.01
    sets = [rng.choice(y.max() + 1, 5, replace=False) for _ in range(40)]
    Y = np.stack([np.isin(y, chosen) for chosen in sets], axis=1).astype(np.int64)  # (n, 40)

    def one_by_one() -> list[Theta]:
        wide = X.astype(np.float64)
        fits = (LogisticRegression(C=C, max_iter=1000).fit(wide, column) for column in Y.T)
        return [_theta(model)[0] for model in fits]

    def together(**options: Any) -> list[Theta]:
        return list(_theta(LogisticProbe(C, **options).fit(X, Y)))

    def objective(column: NDArray[np.int64]) -> Callable[[Theta], float]:
        def value(theta: Theta) -> float:
            # Two classes as a softmax whose first logit is 0 have the loss of one sigmoid.
            z = X.astype(np.float64) @ theta[:-1] + theta[-1]
            return float(
                (np.logaddexp(0, z) - column * z).mean()
                + (theta[:-1] ** 2).sum() / (2 * C * len(X))
            )

        return value

    return _compare(
        f"{name}: 40 labels, C = {C}",
        {"featstore": lambda: together(tol=_ACCURACY), "scikit-learn": one_by_one},
        [objective(column) for column in Y.T],
        together(**_TIGHT),
        repeats=repeats,
    )


def _compare(
    work: str,
    contestants: dict[str, Callable[[], list[Theta]]],
    objectives: list[Callable[[Theta], float]],
    tight: list[Theta],
    *,
    repeats: int,
) -> list[Work]:
    cpu: dict[str, list[float]] = {name: [] for name in contestants}
    wall: dict[str, list[float]] = {name: [] for name in contestants}
    found: dict[str, list[Theta]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(repeats):
            for name, fit in contestants.items():
                wall_start, cpu_start = time.perf_counter(), time.process_time()
                found[name] = fit()
                cpu[name].append(time.process_time() - cpu_start)
                wall[name].append(time.perf_counter() - wall_start)
    values = {
        name: [f(theta) for f, theta in zip(objectives, thetas, strict=True)]
        for name, thetas in {**found, "": tight}.items()
    }
    least = np.min(list(values.values()), axis=0)
    ours = next(iter(contestants))
    return [
        Work(
            work=work,
            contestant=name,
            cpu_s=float(np.median(cpu[name])),
            wall_s=float(np.median(wall[name])),
            cpu_ratio=float(np.median(np.divide(cpu[name], cpu[ours]))),
            wall_ratio=float(np.median(np.divide(wall[name], wall[ours]))),
            worst=float((values[name] / least - 1).max()),
        )
        for name in contestants
    ]


def _theta(model: Any) -> Theta:
    return np.concatenate([model.coef_, model.intercept_[:, None]], axis=1)
