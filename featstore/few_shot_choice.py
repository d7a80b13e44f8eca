"""The hyper-parameter of a few-shot probe, chosen without the reported rows.

With k rows per class there is nothing to validate on.  So a value is chosen once for each k, on
draws of their own: the probe is fitted to them and scored on training rows that it was not fitted
to.  The choice sees more labels than k, the fits that are reported do not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.few_shot_setup import FewShotSetup
from featstore.search import search
from featstore.shot_rows import ShotRows
from featstore.subset_scores import score_subsets
from featstore.trial import End, Trial, best_trial


def choose(
    setup: FewShotSetup,
    rows: ShotRows,
    subsets: Mapping[int, Sequence[NDArray[np.intp]]],
    queries: Mapping[int, Sequence[NDArray[np.intp]]],
) -> tuple[dict[int, list[Trial]], dict[int, float | None]]:
    """Try the protocol's values for every number of shots.

    Parameters
    ----------
    setup
        The estimator and the values.
    rows
        Features and labels.
    subsets, queries
        Shots -> places of the rows of each fit, and of those that it is scored on.

    Returns
    -------
    trials
        Shots -> values with their mean accuracy over the fits.
    chosen
        Shots -> the best value.

    Raises
    ------
    InvalidInputError
        If there are no rows to score on.
    """
    if any(len(asked) == 0 for several in queries.values() for asked in several):
        raise InvalidInputError(
            "the draws that choose a value use up all training rows; give a fixed one (--value), "
            "or ask for fewer shots"
        )
    ties: End = getattr(setup.estimator, "ties", "smaller")
    # There are no rows to halve: all values are tried on all of them.
    kind: Literal["grid", "bisect"] = "bisect" if setup.protocol.search == "bisect" else "grid"
    grids: dict[tuple[float, ...], list[int]] = defaultdict(list)
    for k, several in subsets.items():
        grids[_usable(setup, several)].append(k)
    trials = {}
    for values, shots in grids.items():
        # Together: the same products serve nested draws and all values.
        known = _scores(setup, rows, subsets, queries, shots, values)

        for k in shots:
            trials[k] = search(
                values,
                partial(_try_out, setup, rows, subsets, queries, known, k),
                kind=kind,
                ties=ties,
            )
    chosen: dict[int, float | None] = {
        k: best_trial(tried, ties=ties).value for k, tried in trials.items()
    }
    return trials, chosen


def fixed_value(setup: FewShotSetup, subsets: Sequence[NDArray[np.intp]]) -> float | None:
    """Return the protocol's only value; None where the estimator has its own rule."""
    return _usable(setup, subsets)[0] if setup.protocol.values else None


def _usable(setup: FewShotSetup, subsets: Sequence[NDArray[np.intp]]) -> tuple[float, ...]:
    """Return the protocol's values, without numbers of neighbours that no subset has."""
    values = tuple(map(float, setup.protocol.values))
    if not getattr(setup.estimator, "counts_rows", False):
        return values
    fewest = min(len(subset) for subset in subsets)
    return tuple(k for k in values if k <= fewest) or (float(fewest),)


def _try_out(
    setup: FewShotSetup,
    rows: ShotRows,
    subsets: Mapping[int, Sequence[NDArray[np.intp]]],
    queries: Mapping[int, Sequence[NDArray[np.intp]]],
    known: dict[tuple[int, float], float],
    shots: int,
    values: Sequence[float],
    share: float,
) -> Iterator[Trial]:
    """Look scores up, or find them out; `share` is all of the rows."""
    new = [value for value in values if (shots, value) not in known]
    if new:
        known |= _scores(setup, rows, subsets, queries, [shots], new)
    return (Trial(value, known[shots, value], share=share) for value in values)


def _scores(
    setup: FewShotSetup,
    rows: ShotRows,
    subsets: Mapping[int, Sequence[NDArray[np.intp]]],
    queries: Mapping[int, Sequence[NDArray[np.intp]]],
    shots: Sequence[int],
    values: Sequence[float],
) -> dict[tuple[int, float], float]:
    """Mean accuracy by shots and value."""
    numbers = [k for k in shots for _ in subsets[k]]
    fitted = [places for k in shots for places in subsets[k]]
    asked = [places for k in shots for places in queries[k]]
    accuracies: dict[tuple[int, float], list[float]] = defaultdict(list)
    for found in score_subsets(
        setup.estimator, rows.X, rows.y, fitted, rows.X, values, asked=asked
    ):
        predicted = found.classes[found.scores.argmax(axis=1)]
        right = predicted == rows.y[asked[found.subset]]
        accuracies[numbers[found.subset], found.value].append(float(right.mean()))
    return {key: float(np.mean(several)) for key, several in accuracies.items()}
