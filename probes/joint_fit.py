"""Joint fit: many heads trained in one pass over the features."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from featstore.errors import InvalidInputError
from featstore.probes.sgd_training import train_heads

if TYPE_CHECKING:
    from featstore.probes.sgd import SGDProbe

#: What probes that are fitted together may differ in.
OWN_PARAMETERS = frozenset({"lr", "weight_decay", "columns"})


def fit_together(probes: Sequence[SGDProbe], X: Any, y: ArrayLike) -> list[SGDProbe]:
    """Fit probes that differ in learning rate, weight decay and columns alone, in one pass.

    Each head becomes what its own `fit` would make of it, up to rounding in float32: rows come
    in the same order, and it starts from the same weights.

    Parameters
    ----------
    probes
        To fit, in place.
    X, y
        As for `SGDProbe.fit`.

    Returns
    -------
    probes
        As given.  A probe whose training diverged has `diverged_` set and is of no use.

    Raises
    ------
    InvalidInputError
        If there are no probes, they differ in another parameter, or as for `SGDProbe.fit`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from featstore.probes import SGDProbe
    >>> X, y = load_digits(return_X_y=True)
    >>> halves = [SGDProbe(epochs=9, columns=part) for part in (slice(0, 32), slice(32, 64))]
    >>> [probe.coef_.shape for probe in fit_together(halves, X / 16, y)]
    [(10, 64), (10, 64)]
    """
    probes = list(probes)
    if not probes:
        raise InvalidInputError("there are no probes to fit")
    for probe in probes:
        probe.check_parameters()
    shared = [
        {name: value for name, value in probe.get_params().items() if name not in OWN_PARAMETERS}
        for probe in probes
    ]
    for name, value in shared[0].items():
        others = [parameters[name] for parameters in shared if parameters[name] != value]
        if others:
            raise InvalidInputError(
                f"probes that are fitted together share all but {', '.join(sorted(OWN_PARAMETERS))}"
                f"; these differ in {name}: {value!r} and {others[0]!r}"
            )
    stream, targets = probes[0].open(X, y)
    opened = {
        name: value for name, value in vars(probes[0]).items() if name not in probes[0].get_params()
    }
    for probe, head in zip(probes, train_heads(probes, stream, targets), strict=True):
        for name, value in opened.items():
            setattr(probe, name, value)
        probe.adopt(head)
    return probes


def sweep_heads(
    probes: Sequence[SGDProbe], X: Any, y: ArrayLike, queries: Any
) -> Iterator[tuple[int, NDArray[np.floating]]]:
    """Fit probes together, and yield the position of each and its probabilities of the queries.

    Probes that diverged are left out, with a warning.
    """
    fit_together(probes, X, y)
    diverged = [probe for probe in probes if probe.diverged_ is not None]
    if diverged:
        warnings.warn(divergence(diverged), ConvergenceWarning, stacklevel=3)
    for position, probe in enumerate(probes):
        if probe.diverged_ is None:
            yield position, probe.predict_proba(queries)


def divergence(probes: Sequence[SGDProbe]) -> str:
    """Say which heads diverged, and what to do."""
    heads = ", ".join(
        f"lr={probe.base_lr:g} and weight_decay={probe.weight_decay:g} (epoch {probe.diverged_})"
        for probe in probes
    )
    return (
        f"the training diverged to NaN or infinity with {heads}; lower the learning rate or the "
        "weight decay, or bring the features to one scale"
    )
