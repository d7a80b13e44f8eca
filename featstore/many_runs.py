"""Many runs of one target: all pairs of them, and what seeds and draws account for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pandas as pd

from featstore.analysis.aligned_runs import PairedMetric
from featstore.analysis.all_pairs import AllPairs
from featstore.analysis.all_pairs import all_pairs as pairs_of_predictions
from featstore.analysis.pairing import check_labels
from featstore.analysis.seeds_and_draws import SeedsAndDraws
from featstore.analysis.seeds_and_draws import seeds_and_draws as noise_of_scores
from featstore.errors import InvalidInputError
from featstore.predictions import Predictions
from featstore.run import ProbeRun
from featstore.run_config import RunConfig
from featstore.significance import Adjustment, McNemarTest

#: What runs have in common that differ in feature, seed and draw alone.
_ALIKE = (
    "target",
    "probe",
    "preset",
    "scaling",
    "select",
    "folds",
    "repeats",
    "rule",
    "search",
    "groups",
    "train_split",
    "test_split",
    "n_train",
    "nonlinear",
)


def all_pairs(
    runs: Iterable[ProbeRun],
    *,
    metric: PairedMetric | None = None,
    common: bool = False,
    test: McNemarTest = "exact",
    adjustment: Adjustment = "holm",
    alpha: float = 0.05,
    n_boot: int = 1000,
    seed: int = 0,
) -> AllPairs:
    """Compare every two of many runs; see `featstore.analysis.all_pairs.all_pairs`.

    Runs given by a generator are never in memory together.

    Raises
    ------
    InvalidInputError
        As there, or if the runs are of different targets.
    """

    def named() -> Iterator[tuple[str, Predictions]]:
        first: ProbeRun | None = None
        for run in runs:
            first = first or run
            if run.config.target != first.config.target:
                raise InvalidInputError(
                    f"{first.name} predicts {first.config.target!r} and {run.name} "
                    f"{run.config.target!r}; only runs of one target can be compared"
                )
            yield run.name, run.predictions

    return pairs_of_predictions(
        named(),
        metric=metric,
        common=common,
        test=test,
        adjustment=adjustment,
        alpha=alpha,
        n_boot=n_boot,
        seed=seed,
    )


def seeds_and_draws(
    runs: Iterable[ProbeRun], *, metric: str | None = None, level: float = 0.95
) -> SeedsAndDraws:
    """Take apart the scores of runs that differ in feature, seed and draw of training rows.

    A draw is the stored subset that a run was trained on.

    Parameters
    ----------
    runs
        Every feature with every seed and every draw, once.
    metric
        Any metric of the runs; top1, or mAP for multi-label runs, by default.
    level
        Coverage of the intervals.

    Raises
    ------
    InvalidInputError
        As `featstore.analysis.seeds_and_draws.seeds_and_draws`; if runs differ in anything else, or
        were measured on different rows.
    """
    rows = []
    first: ProbeRun | None = None
    digest = ""
    for run in runs:
        if first is None:
            first, digest = run, run.predictions.rows_digest
            metric = metric or ("mAP" if run.predictions.multilabel else "top1")
        _check_alike(first, run, digest)
        known = list(run.metrics["metric"])
        if metric not in known:
            raise InvalidInputError(f"{run.name} has no {metric}; it has {', '.join(known)}")
        rows.append(
            {
                "feature": " + ".join(run.config.features),
                "seed": run.config.seed,
                "draw": run.config.train_subset or f"all of {run.config.train_split}",
                "value": run.metric(str(metric)),
            }
        )
    return noise_of_scores(
        pd.DataFrame(rows, columns=["feature", "seed", "draw", "value"]), level=level
    )


def _check_alike(a: ProbeRun, b: ProbeRun, digest: str) -> None:
    mine, theirs = settled(a.config), settled(b.config)
    differ = [f"{key}: {mine[key]} | {theirs[key]}" for key in mine if mine[key] != theirs[key]]
    if differ:
        raise InvalidInputError(
            f"{a.name} and {b.name} differ in more than feature, seed and draw ({differ[0]}); what "
            "else differs would pass for noise"
        )
    if b.predictions.rows_digest != digest:
        raise InvalidInputError(
            f"{a.name} and {b.name} were measured on different rows ({len(a.predictions)} and "
            f"{len(b.predictions)}); what the rows do would pass for noise"
        )
    ids, order = a.predictions.ids, b.predictions.ids.argsort()
    sorted_a = ids.argsort()
    check_labels(
        ids[sorted_a],
        a.predictions.truth[sorted_a],
        b.predictions.truth[order],
        names=(a.name, b.name),
    )


def settled(config: RunConfig) -> dict[str, object]:
    """Return what runs share that differ in feature, seed and draw of training rows alone."""
    fixed = config.value if config.selected_on == "fixed" else None
    return {name: getattr(config, name) for name in _ALIKE} | {"value": fixed}
