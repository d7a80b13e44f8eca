"""Leak effect: what a run's metrics owe to some of its test rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.bootstrap import bootstrap
from featstore.errors import InvalidInputError
from featstore.intervals import percentile
from featstore.predictions import Predictions
from featstore.validation import check_predictions
from featstore.weighted import multi_label, single_label


def leak_effect(
    predictions: Predictions,
    ids: Iterable[str],
    *,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Metrics of a run with and without some test rows, e.g. those with a copy in training.

    Parameters
    ----------
    predictions
        Of one run.
    ids
        Test rows to leave out; those that the run does not have are passed over.
    n_boot, seed, level
        Paired percentile bootstrap: each resample of the test rows gives both values.

    Returns
    -------
    effect
        Columns metric, all, without, difference (without less all), low, high (of the difference),
        n, n_left_out.  top1 and mean_per_class; mAP and micro_mAP of a multi-label run.

    Raises
    ------
    InvalidInputError
        If no test row would be left, or a score is not finite.

    Examples
    --------
    >>> scores = np.eye(2, dtype=np.float32)[[0, 0, 1, 0]]
    >>> run = Predictions(np.array(list("abcd")), ("cat", "dog"), np.array([0, 0, 1, 1]), scores,
    ...                   np.array([True, True]))
    >>> leak_effect(run, ["a", "b"], n_boot=0)[["metric", "all", "without", "n_left_out"]]
               metric   all  without  n_left_out
    0            top1  0.75      0.5           2
    1  mean_per_class  0.75      0.5           2
    """
    check_predictions(predictions)
    left_out = set(ids)
    kept = np.array([name not in left_out for name in predictions.ids.tolist()], bool)
    if not kept.any():
        raise InvalidInputError(
            f"all {len(kept)} test rows would be left out; nothing is left to report on"
        )
    if predictions.multilabel:
        names: tuple[str, ...] = ("mAP", "micro_mAP")
        statistic, chosen = multi_label(predictions, names), [0, 1]
    else:
        known, statistic = single_label(predictions)
        names = ("top1", "mean_per_class")
        chosen = [known.index(name) for name in names]
    mask = kept[:, None].astype(np.float32)

    def without(weights: NDArray[np.float32]) -> NDArray[np.float64]:
        # A resample that drew none of the rows kept has no value.
        drawn = weights.any(axis=0)
        values = np.full((len(names), weights.shape[1]), np.nan)
        if drawn.any():
            values[:, drawn] = statistic(np.ascontiguousarray(weights[:, drawn]))[chosen]
        return values

    def both(weights: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.concatenate([statistic(weights)[chosen], without(weights * mask)])

    observed, samples = bootstrap(both, len(predictions), n_boot=n_boot, seed=seed)
    m = len(names)
    low, high = percentile(samples[m:] - samples[:m], level=level)
    return pd.DataFrame(
        {
            "metric": names,
            "all": observed[:m],
            "without": observed[m:],
            "difference": observed[m:] - observed[:m],
            "low": low,
            "high": high,
            "n": len(predictions),
            "n_left_out": int((~kept).sum()),
        }
    )
