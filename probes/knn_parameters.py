"""Parameters of a kNN probe, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from featstore.errors import InvalidInputError
from featstore.probes.engine import index_of, name_of
from featstore.probes.neighbours import Metric
from featstore.probes.votes import Weights

_KS = (1, 2, 5, 10, 20, 50, 100, 200)


def check_parameters(probe: Any) -> None:
    """Raise `InvalidInputError` if parameters of a `KNNProbe` are unknown or do not go together."""
    for name, allowed in {"metric": get_args(Metric), "weights": get_args(Weights)}.items():
        if getattr(probe, name) not in allowed:
            raise InvalidInputError(
                f"{name} must be one of {', '.join(map(repr, allowed))}, "
                f"got {getattr(probe, name)!r}"
            )
    if probe.weights == "distance" and probe.metric != "euclidean":
        raise InvalidInputError(
            f"weights='distance' is for metric='euclidean', got metric={probe.metric!r}"
        )
    for temperature in (probe.temperature, *(probe.temperatures or ())):
        check_temperature(temperature)
    if index_of(probe.engine) is not None and probe.device == "cuda":
        raise InvalidInputError(
            f"engine={name_of(probe.engine)!r} searches on the CPU; use engine='torch' on CUDA"
        )


def check_temperature(temperature: float) -> None:
    """Raise `InvalidInputError` if votes cannot have this temperature."""
    if not temperature > 0:
        raise InvalidInputError(f"temperature must be positive, got {temperature}")


def check_k(k: Any, n: int, *, left_out: bool = False) -> int:
    """Return k, a number of neighbours that n training rows have.

    Parameters
    ----------
    k
        The number.
    n
        Training rows.
    left_out
        Whether a row does not count as its own neighbour.

    Raises
    ------
    InvalidInputError
        If they do not have so many.
    """
    most = n - left_out
    if isinstance(k, str) or k != int(k) or not 1 <= k <= most:
        among = ", none its own neighbour" if left_out else ""
        raise InvalidInputError(
            f"k={k} neighbours cannot be had from n_samples={n} training rows{among}: "
            f"k must be a whole number between 1 and {most}"
        )
    return int(k)


def loo_candidates(ks: Sequence[int] | None, n: int) -> list[int]:
    """Return every k that leave-one-out may choose from, of n training rows.

    Examples
    --------
    >>> loo_candidates(None, 30)
    [1, 2, 5, 10, 20]

    Raises
    ------
    InvalidInputError
        If there is none, or rows have fewer neighbours.
    """
    found = [k for k in _KS if k < n] if ks is None else list(ks)
    if not found:
        raise InvalidInputError(
            f"k='loo' needs a candidate, and two training rows at least: got n_samples={n} and "
            f"ks={ks}"
        )
    return [check_k(k, n, left_out=True) for k in found]
