"""Trial: a value of a hyper-parameter, its score on rows set aside, and which trial is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from featstore.errors import InvalidInputError

#: An end of the range of values.
End = Literal["smaller", "larger"]


@dataclass(frozen=True)
class FoldScore:
    """The score of a value on one division of the rows.

    Attributes
    ----------
    repeat, fold
        Which draw of divisions, and which of its folds.
    score
        Metric on the rows set aside; NaN where it is not defined.
    se
        Standard error of the score over the rows set aside; NaN where nobody asked.
    rows
        Rows fitted on.
    """

    repeat: int
    fold: int
    score: float
    se: float = math.nan
    rows: int = 0


@dataclass(frozen=True)
class Trial:
    """A value of the hyper-parameter and its score on the validation rows.

    Attributes
    ----------
    value
        Of the hyper-parameter.
    score
        Mean over the folds; NaN if none is defined.
    se
        Standard error of the score.
    share
        Share of the training rows fitted on; below 1 in the early rounds of a halving.
    folds
        What the score is the mean of.
    """

    value: float
    score: float
    se: float = math.nan
    share: float = 1.0
    folds: tuple[FoldScore, ...] = ()

    @classmethod
    def over(cls, value: float, folds: Sequence[FoldScore], *, share: float = 1.0) -> Trial:
        """Average the folds.

        The standard error is that of the mean over the folds of one repeat, sd / √k (Hastie et
        al. 2009, section 7.10), and for a single fold the fold's own.  Repeats divide the same
        rows again, so they steady the error (root mean square) and do not lower it.

        Examples
        --------
        >>> trial = Trial.over(1.0, [FoldScore(0, 0, 0.8), FoldScore(0, 1, 0.9)])
        >>> print(f"{trial.score:.2f} {trial.se:.2f}")
        0.85 0.05
        """
        scores = np.asarray([fold.score for fold in folds])
        repeats = np.asarray([fold.repeat for fold in folds])
        variances = []
        for repeat in np.unique(repeats):
            own = [fold for fold in folds if fold.repeat == repeat]
            defined = [fold.score for fold in own if not math.isnan(fold.score)]
            if len(own) == 1:
                variances.append(own[0].se ** 2)
            elif len(defined) > 1:
                variances.append(float(np.var(defined, ddof=1)) / len(defined))
        known = scores[~np.isnan(scores)]
        return cls(
            value,
            float(known.mean()) if known.size else math.nan,
            math.sqrt(np.mean(variances)) if variances else math.nan,
            share,
            tuple(folds),
        )


def best_trial(trials: Sequence[Trial], *, ties: End = "smaller") -> Trial:
    """Return the trial with the highest score among those on all rows.

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

    Examples
    --------
    >>> best_trial([Trial(0.1, 0.7), Trial(1.0, 0.9), Trial(10.0, 0.9)]).value
    1.0
    """
    scored = [trial for trial in trials if trial.share == 1 and not math.isnan(trial.score)]
    if not scored:
        raise InvalidInputError(
            "the validation rows cannot tell values apart: no score is defined (no positives?); "
            "fix the value with --value, or choose another --val split"
        )
    return max(scored, key=lambda trial: (trial.score, _sign(ties) * trial.value))


def one_se_trial(trials: Sequence[Trial], *, stronger: End, ties: End = "smaller") -> Trial:
    """Return the most regularised trial within one standard error of the best.

    Parameters
    ----------
    trials
        Values and their scores.
    stronger
        Which values regularise more.
    ties
        As for `best_trial`.

    Raises
    ------
    InvalidInputError
        If no score, or no standard error of the best, is defined.

    References
    ----------
    Hastie, Tibshirani & Friedman (2009), The elements of statistical learning, section 7.10.

    Examples
    --------
    >>> trials = [Trial(0.01, 0.6, 0.02), Trial(0.1, 0.88, 0.02), Trial(1.0, 0.89, 0.02)]
    >>> one_se_trial(trials, stronger="smaller").value
    0.1
    """
    best = best_trial(trials, ties=ties)
    if math.isnan(best.se):
        raise InvalidInputError(
            f"the score {best.score:g} of the best value has no standard error: it needs two folds "
            "in which it is defined"
        )
    near = [t for t in trials if t.share == 1 and t.score >= best.score - best.se]
    return max(near, key=lambda trial: _sign(stronger) * trial.value)


def _sign(end: End) -> int:
    return 1 if end == "larger" else -1
