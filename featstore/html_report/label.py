"""Labels: short names for runs, as long as they must be to tell them apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from featstore.run import ProbeRun
from featstore.run_config import RunConfig
from featstore.run_labels import FURTHER_DETAILS

_DETAILS: tuple[Callable[[RunConfig], str], ...] = (
    lambda config: config.preset,
    *FURTHER_DETAILS,
)


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
                    found[i] += f", {detail}"
    for alike in _collisions(found):
        for i in alike:
            found[i] += f", {runs[i].name}"
    return found


def _collisions(found: Sequence[str]) -> list[list[int]]:
    places = defaultdict(list)
    for i, label in enumerate(found):
        places[label].append(i)
    return [alike for alike in places.values() if len(alike) > 1]
