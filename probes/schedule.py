"""Schedule: by what share of its base every step's learning rate is multiplied."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError

Schedule = Literal["cosine", "cosine-epoch", "warmup-cosine", "constant"]


def factors(
    schedule: Schedule, n_steps: int, *, steps_per_epoch: int, warmup_steps: int = 0
) -> NDArray[np.float64]:
    """Factors of the learning rate, one per step, shape (n_steps,).

    Parameters
    ----------
    schedule
        ``"cosine"``: (1 + cos(π t / T)) / 2 at step t of T, what torch's ``CosineAnnealingLR``
        gives when stepped after every batch.  ``"cosine-epoch"``: the same in epochs, constant
        within each.  ``"warmup-cosine"``: from 0 up to 1 over `warmup_steps`, then a cosine that
        reaches 0 at the last step (facebookresearch/capi, eval_classification.py).
        ``"constant"``: 1.
    n_steps
        Steps of the whole training, T.
    steps_per_epoch
        Batches of an epoch.
    warmup_steps
        Of ``"warmup-cosine"``, fewer than T.

    Raises
    ------
    InvalidInputError
        If the schedule is unknown, or the warm-up leaves no step for the cosine.

    Examples
    --------
    >>> factors("cosine", 4, steps_per_epoch=2).round(4)
    array([1.    , 0.8536, 0.5   , 0.1464])
    >>> factors("cosine-epoch", 4, steps_per_epoch=2)
    array([1. , 1. , 0.5, 0.5])
    """
    if schedule not in get_args(Schedule):
        known = ", ".join(map(repr, get_args(Schedule)))
        raise InvalidInputError(f"schedule must be one of {known}, got {schedule!r}")
    steps = np.arange(n_steps)
    if schedule == "constant":
        return np.ones(n_steps)
    if schedule == "cosine":
        return _cosine(steps / n_steps)
    if schedule == "cosine-epoch":
        return _cosine(steps // steps_per_epoch / -(-n_steps // steps_per_epoch))
    if not 0 <= warmup_steps < n_steps:
        raise InvalidInputError(
            f"warmup_steps={warmup_steps} must be fewer than the {n_steps} steps of the training"
        )
    rise = np.linspace(0.0, 1.0, warmup_steps)
    return np.concatenate([rise, _cosine(np.linspace(0.0, 1.0, n_steps - warmup_steps))])


def _cosine(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half a wave from 1 at share 0 to 0 at share 1."""
    wave: NDArray[np.float64] = (1 + np.cos(np.pi * share)) / 2
    return wave
