"""What corrupted images cost: the drop of the metric, and the mean corruption error."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.pairing import common_rows
from featstore.analysis.primary_metric import primary_metric
from featstore.bootstrap import bootstrap
from featstore.displayed import Displayed
from featstore.errors import InvalidInputError
from featstore.intervals import percentile
from featstore.predictions import Predictions
from featstore.validation import check_predictions

_SEVERITY = re.compile(r"(?P<kind>.+)-(?P<severity>[1-5])")


@dataclass(frozen=True, eq=False, repr=False)
class CorruptionDrop(Displayed):
    """A run on clean images against runs of the same samples with corrupted ones.

    Attributes
    ----------
    metric
        ``"top1"``, or ``"mAP"`` of multi-label runs.
    clean
        Its value on clean images.
    n
        Rows that all runs have.
    level
        Coverage of the intervals: percentile bootstraps over the rows, the same resamples for all
        runs.
    drops
        One row per corrupted run: corruption, kind, severity (NaN without one), value, drop (clean
        less corrupted), low, high.
    errors
        One row per kind: kind, severities (their number), error (mean over them of 1 - value),
        low, high; with a baseline also ce, ce_low, ce_high: Σ error / Σ error of the baseline, and
        relative_ce, …: Σ (error - clean error) / Σ (the same of the baseline).
    summary
        Columns measure, value, low, high: clean_error; mean_drop, over the kinds; mean_error,
        mCE without normalisation; with a baseline mCE and relative_mCE, means over the kinds of ce
        and relative_ce.
    """

    metric: Literal["top1", "mAP"]
    clean: float
    n: int
    level: float
    drops: pd.DataFrame
    errors: pd.DataFrame
    summary: pd.DataFrame


def corruption_drop(
    clean: Predictions,
    corrupted: Mapping[str, Predictions],
    *,
    baseline: tuple[Predictions, Mapping[str, Predictions]] | None = None,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> CorruptionDrop:
    """Compare runs on corrupted images to the run on clean ones.

    Parameters
    ----------
    clean
        The run on clean images, or with a backbone trained on clean images.
    corrupted
        Runs by corruption.  Names such as ``fog-3`` are severities of one kind, which are averaged
        before kinds are.
    baseline
        The same of another backbone, which errors are divided by, as Hendrycks & Dietterich divide
        by AlexNet's.
    n_boot, seed, level
        Of the intervals; 0 resamples leave them NaN.

    Returns
    -------
    drop
        On the rows that all runs have.

    Raises
    ------
    InvalidInputError
        If nothing is corrupted, the baseline lacks a corruption, or the runs cannot be paired.

    References
    ----------
    Hendrycks & Dietterich (2019), Benchmarking neural network robustness to common corruptions and
    perturbations, ICLR, section 4: CE and relative CE.  Cole et al. (2022), Fig. 4: the drop.

    Examples
    --------
    >>> ids, truth, seen = np.array(list("abcd")), np.array([0, 1, 1, 0]), np.array([True, True])
    >>> def run(called):
    ...     scores = np.eye(2, dtype=np.float32)[called]
    ...     return Predictions(ids, ("cat", "dog"), truth, scores, seen)
    >>> found = corruption_drop(run([0, 1, 1, 0]), {"jpeg10": run([0, 1, 0, 0])}, n_boot=0)
    >>> found.drops[["corruption", "value", "drop"]]
      corruption  value  drop
    0     jpeg10   0.75  0.25
    """
    names = list(corrupted)
    if not names:
        raise InvalidInputError("there is no run on corrupted images to compare")
    runs = [clean, *corrupted.values()]
    if baseline is not None:
        if missing := [name for name in names if name not in baseline[1]]:
            raise InvalidInputError(
                f"the baseline has no run on {', '.join(missing)}; evaluate it on these too, or "
                "leave the baseline out"
            )
        runs += [baseline[0], *(baseline[1][name] for name in names)]
    aligned = _aligned(runs)
    metric, statistic = primary_metric(aligned)
    observed, drawn = bootstrap(statistic, len(aligned[0]), n_boot=n_boot, seed=seed)
    # The observed values are one more column, so that every formula is written once.
    values = np.concatenate([observed[:, None], drawn], axis=1)  # (runs, 1 + n_boot)
    own = values[: 1 + len(names)]
    kinds = [_kind(name) for name in names]
    drops = pd.DataFrame(
        {
            "corruption": names,
            "kind": [kind for kind, _ in kinds],
            "severity": [severity for _, severity in kinds],
            "value": own[1:, 0],
            **_bounded(own[:1] - own[1:], "drop", "low", "high", level=level),
        }
    )
    errors, summary = _errors(
        [kind for kind, _ in kinds], own, values[1 + len(names) :], level=level
    )
    return CorruptionDrop(
        metric, float(observed[0]), len(aligned[0]), level, drops, errors, summary
    )


def _errors(
    kinds: Sequence[str],
    own: NDArray[np.float64],
    base: NDArray[np.float64],
    *,
    level: float,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Errors by kind, and their means.

    Parameters
    ----------
    kinds
        Of the corrupted runs.
    own, base
        Values (1 + runs, columns), the clean run first; `base` may be empty.
    """
    names = list(dict.fromkeys(kinds))
    members = np.stack([np.asarray([kind == name for kind in kinds]) for name in names])
    counts = members.sum(axis=1)
    mean = members / counts[:, None]  # (kinds, runs)
    error, drop = mean @ (1 - own[1:]), mean @ (own[:1] - own[1:])
    by_kind = _bounded(error, "error", "low", "high", level=level)
    means = {"clean_error": 1 - own[0], "mean_drop": drop.mean(axis=0)}
    means["mean_error"] = error.mean(axis=0)
    if len(base):
        base_error, base_drop = mean @ (1 - base[1:]), mean @ (base[:1] - base[1:])
        for name, part, whole in (("ce", error, base_error), ("relative_ce", drop, base_drop)):
            ratio = np.full(part.shape, np.nan)
            np.divide(part, whole, out=ratio, where=whole != 0)
            by_kind |= _bounded(ratio, name, f"{name}_low", f"{name}_high", level=level)
            means["mCE" if name == "ce" else "relative_mCE"] = ratio.mean(axis=0)
    errors = pd.DataFrame({"kind": names, "severities": counts, **by_kind})
    summary = pd.DataFrame(
        {
            "measure": list(means),
            **_bounded(np.stack(list(means.values())), "value", "low", "high", level=level),
        }
    )
    return errors, summary


def _bounded(
    values: NDArray[np.float64], name: str, low: str, high: str, *, level: float
) -> dict[str, NDArray[np.float64]]:
    """Columns of observed values, which come first in each row, and of their intervals."""
    bounds = percentile(values[:, 1:], level=level)
    return {name: values[:, 0], low: bounds[0], high: bounds[1]}


def _aligned(runs: Sequence[Predictions]) -> list[Predictions]:
    """Restrict all runs to the rows that all have, in one order."""
    for run in runs:
        check_predictions(run)
    first = runs[0]
    for run in runs[1:]:
        first = common_rows(first, run)[0]
    return [first, *(common_rows(first, run)[1] for run in runs[1:])]


def _kind(name: str) -> tuple[str, float]:
    found = _SEVERITY.fullmatch(name)
    return (found["kind"], float(found["severity"])) if found else (name, float("nan"))
