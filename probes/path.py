"""Path: logistic regression over a grid of penalties, each head started from the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featstore.errors import InvalidInputError
from featstore.probes.device import DeviceName
from featstore.probes.head import fit_head
from featstore.probes.inputs import Targets, features_of
from featstore.probes.logistic import LogisticProbe
from featstore.probes.preconditioner import GramBasis, Precision


def logistic_path(
    X: Any,
    y: ArrayLike,
    Cs: Iterable[float],
    *,
    tol: float = 1e-6,
    max_iter: int = 1000,
    dtype: Precision = "auto",
    device: DeviceName = "cpu",
    seed: int = 0,
    basis: GramBasis | None = None,
) -> Iterator[LogisticProbe]:
    """Fit a grid of penalties, from the smallest C to the largest, each from the one before.

    The features are checked, centred and diagonalised once, when the function is called; each
    head is fitted when it is asked for, so whoever stops asking saves the rest (large C take
    most of the passes).

    Parameters
    ----------
    X, y, basis
        As for `LogisticProbe.fit`.
    Cs
        Inverse penalties, in any order.
    tol, max_iter, dtype, device, seed
        As for `LogisticProbe`.

    Yields
    ------
    probe
        A fitted head; `probe.C` says which.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> [probe.C for probe in logistic_path(X, y, [0.1, 0.001])]
    [0.001, 0.1]
    """
    probes = [
        LogisticProbe(C, tol=tol, max_iter=max_iter, dtype=dtype, device=device, seed=seed)
        for C in sorted(Cs)
    ]
    if not probes:
        raise InvalidInputError("Cs is empty: a path needs at least one C")
    for probe in probes:
        probe.check_parameters()
    features = features_of(probes[0], X, reset=True)
    targets = Targets.of(y, n_samples=len(features))
    if basis is None:
        basis = GramBasis.of(features, dtype=dtype, device=device, seed=seed)
    else:
        basis.check(features)

    return _heads(probes, features, targets, basis)


def _heads(
    probes: list[LogisticProbe],
    features: NDArray[np.floating],
    targets: Targets,
    basis: GramBasis,
) -> Iterator[LogisticProbe]:
    columns = {key: value for key, value in vars(probes[0]).items() if key.endswith("_in_")}
    start = None
    for probe in probes:
        head = fit_head(
            features,
            targets,
            basis,
            C=probe.C,
            tol=probe.tol,
            max_iter=probe.max_iter,
            start=start,
        )
        start = head.point
        for name, value in columns.items():
            setattr(probe, name, value)  # n_features_in_, feature_names_in_
        yield probe.adopt(head, targets)
