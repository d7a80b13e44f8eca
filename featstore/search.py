"""Search for one hyper-parameter on validation rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from featstore.trial import End, Trial, best_trial

#: ``"grid"``, ``"bisect"`` or ``"halving"``, see `search`.
SearchKind = Literal["grid", "bisect", "halving"]

#: Values and a share of the training rows to trials.
Score = Callable[[Sequence[float], float], Iterator[Trial]]

#: The CLIP paper's resolution, in steps per decade.
_STEPS_PER_DECADE = 8

#: Rounds of a halving, and what each leaves of the values and multiplies the rows by.
_ROUNDS, _ETA = 3, 3


def search(
    values: Sequence[float], score: Score, *, kind: SearchKind = "grid", ties: End = "smaller"
) -> list[Trial]:
    """Try values, and around the best of them more if asked to.

    Parameters
    ----------
    values
        Candidates, positive.
    score
        Tries several values on a share of the training rows, sharing work between them.
    kind
        ``"grid"`` stops after `values`.  ``"bisect"`` goes on around the best value, halving
        the (logarithmic) distance to its neighbours until it is an eighth of a decade
        (Radford et al. 2021, appendix A.3).  ``"halving"`` tries all values on a ninth of the
        training rows, the best third of them on a third, and the best third of these on all
        (successive halving; Jamieson & Talwalkar 2016).
    ties
        As for `best_trial`.

    Returns
    -------
    trials
        Sorted by value, and by the share of the rows.

    Examples
    --------
    >>> def score(values, share):
    ...     return (Trial(v, -abs(math.log10(v) - 0.3), share=share) for v in values)
    >>> best = max(search([0.01, 1, 100], score, kind="bisect"), key=lambda t: t.score)
    >>> round(best.value, 6)
    1.778279
    >>> [t.value for t in search(range(1, 28), score, kind="halving") if t.share == 1]
    [1, 2, 3]
    """
    if kind == "halving":
        trials = _halve(sorted(values), score, ties)
    else:
        trials = list(score(sorted(values), 1.0))
    if kind == "bisect":
        ordered = sorted(values)
        step = math.log10(ordered[1] / ordered[0])
        while step > 1 / _STEPS_PER_DECADE:
            step /= 2
            best = best_trial(trials, ties=ties).value
            trials += score([best * 10**-step, best * 10**step], 1.0)
    return sorted(trials, key=lambda trial: (trial.value, trial.share))


def _halve(values: Sequence[float], score: Score, ties: End) -> list[Trial]:
    trials: list[Trial] = []
    sign = 1 if ties == "larger" else -1
    for left in reversed(range(_ROUNDS)):
        tried = list(score(values, _ETA**-left))
        trials += tried
        # A score that is not defined comes last.
        tried.sort(key=lambda t: (not math.isnan(t.score), t.score, sign * t.value), reverse=True)
        values = sorted(trial.value for trial in tried[: math.ceil(len(tried) / _ETA)])
    return trials
