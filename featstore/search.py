"""Search for one hyper-parameter on validation rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from featstore.errors import InvalidInputError

#: The CLIP paper's resolution, in steps per decade.
_STEPS_PER_DECADE = 8


@dataclass(frozen=True)
class Trial:
    """A value of the hyper-parameter and its score on the validation rows."""

    value: float
    score: float


def best_trial(trials: Sequence[Trial], *, ties: Literal["smaller", "larger"] = "smaller") -> Trial:
    """Return the trial with the highest score.

    Parameters
    ----------
    trials
        Values and their scores.
    ties
        Which value wins among equal scores.

    Raises
    ------
    InvalidInputError
        If no score is defined.
    """
    scored = [trial for trial in trials if not math.isnan(trial.score)]
    if not scored:
        raise InvalidInputError(
            "the validation rows cannot tell values apart: no score is defined (no positives?); "
            "fix the value with --value, or choose another --val split"
        )
    sign = 1 if ties == "larger" else -1
    return max(scored, key=lambda trial: (trial.score, sign * trial.value))


def search(
    values: Sequence[float],
    score: Callable[[Sequence[float]], Iterator[Trial]],
    *,
    kind: Literal["grid", "bisect"] = "grid",
    ties: Literal["smaller", "larger"] = "smaller",
) -> list[Trial]:
    """Try values, and around the best of them more if asked to.

    Parameters
    ----------
    values
        Candidates, positive.
    score
        Tries several values, sharing work between them.
    kind
        ``"grid"`` stops after `values`.  ``"bisect"`` goes on around the best value, halving
        the (logarithmic) distance to its neighbours until it is an eighth of a decade
        (Radford et al. 2021, appendix A.3).
    ties
        As for `best_trial`.

    Returns
    -------
    trials
        Sorted by value.

    Examples
    --------
    >>> def score(values):
    ...     return (Trial(v, -abs(math.log10(v) - 0.3)) for v in values)
    >>> best = max(search([0.01, 1, 100], score, kind="bisect"), key=lambda t: t.score)
    >>> round(best.value, 6)
    1.778279
    """
    trials = list(score(sorted(values)))
    if kind == "bisect":
        ordered = sorted(values)
        step = math.log10(ordered[1] / ordered[0])
        while step > 1 / _STEPS_PER_DECADE:
            step /= 2
            best = best_trial(trials, ties=ties).value
            trials += score([best * 10**-step, best * 10**step])
    return sorted(trials, key=lambda trial: trial.value)
