"""calibration: whether a stored run's probabilities hold, and what a temperature mends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from featstore.analysis.calibration import METRICS, calibration_statistic
from featstore.analysis.calibration import calibration as calibration_of_scores
from featstore.analysis.reliability import Binning, reliability
from featstore.analysis.temperature import fit_temperature, with_temperature
from featstore.bootstrap import bootstrap
from featstore.displayed import Displayed
from featstore.errors import InvalidInputError
from featstore.intervals import percentile
from featstore.predictions import Predictions
from featstore.refit import Refit
from featstore.run import ProbeRun
from featstore.store import FeatureStore


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(Displayed):
    """Calibration of a run, as stored and after temperature scaling.

    Attributes
    ----------
    run
        Its name.
    temperature
        That the stored probabilities were divided by, as logits; NaN if none was fitted.
    fitted_on
        Which rows chose it, in words; never the reported ones.
    n_fitted
        How many.
    metrics
        Columns scores (``"stored"``, ``"scaled"``), metric, value, low, high, n; see
        `featstore.analysis.calibration`.
    change
        Columns metric, value (scaled less stored), low, high: a paired bootstrap over the rows.
    curve
        Columns scores, and those of `featstore.analysis.reliability`.
    predictions
        With the temperature applied; as stored if there is none.
    """

    run: str
    temperature: float
    fitted_on: str
    n_fitted: int
    metrics: pd.DataFrame
    change: pd.DataFrame
    curve: pd.DataFrame
    predictions: Predictions


def calibration(
    store: FeatureStore | str | Path,
    run: ProbeRun | str,
    *,
    n_bins: int = 15,
    binning: Binning = "width",
    temperature: bool = True,
    folds: int = 5,
    n_boot: int = 1000,
    seed: int = 0,
    device: str = "cpu",
) -> Calibration:
    """Measure the calibration of a run, before and after temperature scaling.

    The run's probe has been fitted to all rows but the reported ones, so what it says of them is no
    guide.  The temperature is fitted to what the same probe, with the same value, says of rows that
    it has not seen: those of the validation split after a fit to the training split, or without
    one all training rows, each after a fit to the other folds.

    Parameters
    ----------
    store
        The store, or its path.
    run
        A stored run, or its name.
    n_bins
        Of calibration errors and of the curve.
    binning
        Of the curve.
    temperature
        Whether to fit one; without it nothing is fitted, and features are not read.
    folds
        Where there is no validation split.
    n_boot, seed
        Of the bootstrap.
    device
        That the probe is fitted on.

    Returns
    -------
    calibration
        On the reported rows.

    Raises
    ------
    FeatureNotFoundError, NotSealedError
        If the run is not there, or its features or splits are not any more.
    InvalidInputError
        If scores are not probabilities, or the run reports on outer folds of all its training rows
        and so leaves none to fit a temperature on.
    """
    if not isinstance(store, FeatureStore):
        store = FeatureStore.open(store)
    if not isinstance(run, ProbeRun):
        run = store.run(run)
    stored = scaled = run.predictions
    fitted, fitted_on, n_fitted = float("nan"), "", 0
    if temperature:
        if run.config.nested:
            raise InvalidInputError(
                f"{run.name} reports on outer folds of all its training rows, so none are left to "
                "fit a temperature on; leave it out (--no-temperature), or report on a test split"
            )
        held_out, fitted_on = Refit.of(store, run.config, device=device).held_out(folds=folds)
        fitted, n_fitted = fit_temperature(held_out), len(held_out)
        scaled = with_temperature(stored, fitted)
    both = {"stored": stored} | ({"scaled": scaled} if temperature else {})
    return Calibration(
        run=run.name,
        temperature=fitted,
        fitted_on=fitted_on,
        n_fitted=n_fitted,
        metrics=_stacked(
            {
                name: calibration_of_scores(scores, n_bins=n_bins, n_boot=n_boot, seed=seed)
                for name, scores in both.items()
            }
        ),
        change=_change(stored, scaled, n_bins=n_bins, n_boot=n_boot, seed=seed),
        curve=_stacked(
            {
                name: reliability(scores, n_bins=n_bins, binning=binning)
                for name, scores in both.items()
            }
        ),
        predictions=scaled,
    )


def _stacked(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Frames below each other, with the column scores in front."""
    return pd.concat(
        [frame.assign(scores=name)[["scores", *frame]] for name, frame in frames.items()],
        ignore_index=True,
    )


def _change(
    stored: Predictions, scaled: Predictions, *, n_bins: int, n_boot: int, seed: int
) -> pd.DataFrame:
    columns = ["metric", "value", "low", "high"]
    if scaled is stored:
        return pd.DataFrame(columns=columns)
    parts = [calibration_statistic(scores, n_bins=n_bins) for scores in (stored, scaled)]
    values, samples = bootstrap(
        lambda weights: parts[1](weights) - parts[0](weights),
        len(stored),
        n_boot=n_boot,
        seed=seed,
    )
    low, high = percentile(samples, level=0.95)
    names = [name for name in METRICS if name != "classwise_ece"]
    rows = zip(names, values, low, high, strict=True)
    return pd.DataFrame(list(rows), columns=columns).astype(dict.fromkeys(columns[1:], np.float64))
