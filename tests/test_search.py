"""Searches and rules on curves whose best value is known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.errors import InvalidInputError
from featstore.search import search
from featstore.trial import FoldScore, Trial, best_trial, one_se_trial


def peaked(at: float, log: list[tuple[int, float]] | None = None):
    """A score that falls with the logarithmic distance to a value."""

    def score(values: Sequence[float], share: float) -> Iterator[Trial]:
        if log is not None:
            log.append((len(values), share))
        return (Trial(v, -abs(math.log10(v / at)), share=share) for v in values)

    return score


VALUES = tuple(float(v) for v in np.logspace(-6, 5, 45))


@settings(max_examples=30, deadline=None)
@given(at=st.floats(1e-6, 1e5))
def test_halving_finds_what_the_grid_finds_with_a_third_of_the_rows(at: float) -> None:
    log: list[tuple[int, float]] = []
    halved = search(VALUES, peaked(at, log), kind="halving")
    assert best_trial(halved).value == best_trial(search(VALUES, peaked(at))).value
    assert log == [(45, 1 / 9), (15, 1 / 3), (5, 1)]
    assert sum(count * share for count, share in log) == pytest.approx(len(VALUES) / 3)


def test_only_scores_on_all_rows_are_compared() -> None:
    trials = [Trial(1.0, 0.99, share=1 / 3), Trial(1.0, 0.7), Trial(2.0, 0.8)]
    assert best_trial(trials).value == 2.0
    with pytest.raises(InvalidInputError, match="no score is defined"):
        best_trial(trials[:1])


def test_halving_drops_scores_that_are_not_defined() -> None:
    def score(values: Sequence[float], share: float) -> Iterator[Trial]:
        return (Trial(v, math.nan if v > 6 else v, share=share) for v in values)

    assert best_trial(search(range(1, 10), score, kind="halving")).value == 6


@pytest.mark.parametrize(("ties", "value"), [("smaller", 2.0), ("larger", 3.0)])
def test_ties(ties: str, value: float) -> None:
    trials = [Trial(1.0, 0.5), Trial(2.0, 0.9), Trial(3.0, 0.9)]
    assert best_trial(trials, ties=ties).value == value  # type: ignore[arg-type]


def test_the_most_regularised_within_one_standard_error() -> None:
    trials = [
        Trial(value, score, 0.05)
        for value, score in [(0.01, 0.80), (0.1, 0.86), (1.0, 0.90), (10.0, 0.87), (100.0, 0.7)]
    ]
    assert one_se_trial(trials, stronger="smaller").value == 0.1
    assert one_se_trial(trials, stronger="larger").value == 10.0
    exact = [Trial(trial.value, trial.score, 0.0) for trial in trials]
    assert one_se_trial(exact, stronger="smaller").value == 1.0
    with pytest.raises(InvalidInputError, match="no standard error"):
        one_se_trial([Trial(1.0, 0.9)], stronger="smaller")


def test_standard_errors_over_folds_and_repeats() -> None:
    scores = np.random.default_rng(0).random((3, 5))
    folds = [
        FoldScore(repeat, fold, float(scores[repeat, fold]))
        for repeat in range(3)
        for fold in range(5)
    ]
    one = Trial.over(1.0, folds[:5])
    assert one.score == pytest.approx(scores[0].mean())
    assert one.se == pytest.approx(scores[0].std(ddof=1) / math.sqrt(5))
    three = Trial.over(1.0, folds)
    assert three.score == pytest.approx(scores.mean())
    assert three.se == pytest.approx(math.sqrt(np.mean(scores.var(axis=1, ddof=1) / 5)))
    single = Trial.over(1.0, [FoldScore(0, 0, 0.5, 0.1), FoldScore(1, 0, 0.7, 0.2)])
    assert single.se == pytest.approx(math.sqrt((0.01 + 0.04) / 2))


def test_a_fold_without_a_score_is_left_out() -> None:
    trial = Trial.over(1.0, [FoldScore(0, 0, 0.5), FoldScore(0, 1, math.nan), FoldScore(0, 2, 0.7)])
    assert trial.score == pytest.approx(0.6)
    assert math.isnan(Trial.over(1.0, [FoldScore(0, 0, math.nan)]).score)
