"""Labels: what tells runs apart that are shown together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from featstore.errors import InvalidInputError
from featstore.run import ProbeRun
from featstore.run_config import RunConfig

Runs = ProbeRun | Mapping[str, ProbeRun] | Iterable[ProbeRun]
"""One run, several, or several by the names they shall have."""

#: What may tell runs apart beside features, probe and target; what people think of first is first.
FURTHER_DETAILS: tuple[Callable[[RunConfig], str], ...] = (
    lambda config: f"on {' + '.join(config.test_features or config.features)}",
    lambda config: "unscaled" if config.scaling == "none" else f"{config.scaling} scaling",
    lambda config: config.train_subset or f"all of {config.train_split}",
    lambda config: config.how_chosen,
    lambda config: f"{config.parameter} = {config.value:g}",
    lambda config: f"{config.n_train:,} training rows",
    lambda config: f"seed {config.seed}",
)
_DETAILS: tuple[Callable[[RunConfig], str], ...] = (
    lambda config: " + ".join(config.features),
    lambda config: probe_name(config),
    lambda config: config.target,
    *FURTHER_DETAILS,
)


def probe_name(config: RunConfig) -> str:
    """Return the protocol of a run; the estimator where it has no other name."""
    non_linear = " (non-linear)" if config.nonlinear else ""
    return f"{config.preset or config.probe}{non_linear}"


def run_labels(runs: Sequence[ProbeRun]) -> list[str]:
    """Label each run by what it does not share with all others.

    Parameters
    ----------
    runs
        To be shown together.

    Returns
    -------
    labels
        Unique, in the order of `runs`: the features if these differ, then the probe, target,
        scaling, … as far as they are needed to tell the runs apart; at last their names.
    """
    found: list[tuple[str, ...]] = [() for _ in runs]
    for describe in _DETAILS:
        if len(set(found)) == len(found) and all(found):
            break
        details = [describe(run.config) for run in runs]
        if len(set(details)) > 1 or (describe is _DETAILS[0] and len(runs) == 1):
            longer = [(*label, detail) for label, detail in zip(found, details, strict=True)]
            # A detail that splits no two runs says nothing here.
            if len(set(longer)) > len(set(found)) or len(runs) == 1:
                found = longer
    if len(set(found)) < len(found):
        found = [(*label, run.name) for label, run in zip(found, runs, strict=True)]
    return [", ".join(label) for label in found]


def named_runs(runs: Runs) -> dict[str, ProbeRun]:
    """Return runs by the labels they were given, or by what tells them apart.

    Raises
    ------
    InvalidInputError
        If there are none, or one of them is no run.
    """
    if isinstance(runs, Mapping):
        named = dict(runs)
    else:
        listed = [runs] if isinstance(runs, ProbeRun) else list(runs)
        check_runs(listed)
        named = dict(zip(run_labels(listed), listed, strict=True))
    check_runs(list(named.values()))
    return named


def check_runs(runs: Sequence[object]) -> None:
    """Refuse what is no run, and no runs at all."""
    if not runs:
        raise InvalidInputError("there are no runs to show; evaluate a probe first")
    if wrong := [run for run in runs if not isinstance(run, ProbeRun)]:
        raise InvalidInputError(
            f"expected runs, such as store.run(name) returns, got {type(wrong[0]).__name__}"
        )
