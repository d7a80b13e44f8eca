"""Labels: short names for runs, as long as they must be to tell them apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from featstore.run import ProbeRun
from featstore.run_config import RunConfig

_DETAILS: tuple[Callable[[RunConfig], str], ...] = (
    lambda config: f"on {' + '.join(config.test_features)}" if config.test_features else "",
    lambda config: "" if config.preset == config.probe else config.preset,
    lambda config: "unscaled" if config.scaling == "none" else f"{config.scaling} scaling",
    lambda config: config.how_chosen,
    lambda config: _value(config) if config.selected_on == "fixed" else "",
    lambda config: config.train_subset or f"all of {config.train_split}",
    lambda config: f"{config.n_train:,} training rows",
    lambda config: f"seed {config.seed}",
    lambda config: _value(config),
)
"""What was asked for before what came of it, such as the value that was chosen."""


def labels(runs: Sequence[ProbeRun]) -> list[str]:
    """Label each run by its features and its probe, and by more only where labels collide.

    Parameters
    ----------
    runs
        To be shown together.

    Returns
    -------
    labels
        Unique, in the order of `runs`; such as ``"resnet50 + dinov2 · logistic"``.
    """
    found = [f"{' + '.join(run.config.features)} · {run.config.probe_label}" for run in runs]
    for describe in _DETAILS:
        for alike in _collisions(found):
            details = [describe(runs[i].config) for i in alike]
            if len(set(details)) > 1:
                for i, detail in zip(alike, details, strict=True):
                    found[i] += f", {detail}" if detail else ""
    for alike in _collisions(found):
        for i in alike:
            found[i] += f", {runs[i].name}"
    return found


def _value(config: RunConfig) -> str:
    return f"{config.parameter} = {config.value:g}"


def _collisions(found: Sequence[str]) -> list[list[int]]:
    places = defaultdict(list)
    for i, label in enumerate(found):
        places[label].append(i)
    return [alike for alike in places.values() if len(alike) > 1]
