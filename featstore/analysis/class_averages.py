"""The mean over the classes of each group, e.g. of each taxonomic class (Fig. A3)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.bootstrap import bootstrap, unit_weights
from featstore.class_groups import ClassGroups
from featstore.class_measure import ClassMeasure, class_measure
from featstore.decisions import Outcomes
from featstore.errors import InvalidInputError
from featstore.intervals import percentile


def class_averages(
    runs: Mapping[str, Outcomes],
    groups: ClassGroups,
    *,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Average the accuracies of the classes of each group, every class counting once.

    Parameters
    ----------
    runs
        Single-label or multi-label runs of one target, by name.
    groups
        Of the classes of the target.
    n_boot, seed, level
        Percentile bootstrap: resamples (0 leaves the intervals NaN), their seed, coverage.  Runs
        with equally many rows share the draws.

    Returns
    -------
    averages
        One row per run and group: run, group, n_classes (with test rows), n (test rows, or
        positives), metric (accuracy or average_precision), value, low, high, low_classes,
        high_classes.

        low and high come from drawing test rows: what other test images of these classes could
        have shown.  low_classes and high_classes come from drawing the classes of the group, each
        with its rows as they are: what other classes of this kind could have shown, their images
        included; NaN for a group with one class.

    Raises
    ------
    InvalidInputError
        If the groups are those of other classes, or a run has no test rows, or impossible scores
        or labels.

    References
    ----------
    Davison & Hinkley (1997), Bootstrap methods and their application, section 3.8: of nested
    samples, drawing the outer units whole comes closest to the variance.

    Examples
    --------
    >>> from featstore.decisions import Decisions
    >>> table = pd.DataFrame({"class": ["elk", "wren", "crow"], "kind": ["mammal", "bird", "bird"]})
    >>> run = Decisions(np.array(list("pqrs")), ("elk", "wren", "crow"), np.array([0, 1, 2, 2]),
    ...                 np.array([0, 1, 2, 1]), np.ones(3, bool))
    >>> kinds = ClassGroups.from_frame(table, "kind", run.classes)
    >>> class_averages({"a": run}, kinds)[["run", "group", "n_classes", "n", "value"]]
      run   group  n_classes  n  value
    0   a  mammal          1  1   1.00
    1   a    bird          2  3   0.75
    """
    measures = {name: class_measure(run) for name, run in runs.items()}
    for name, run in runs.items():
        check_groups(groups, run.n_classes, whose=name)
    frames = {}
    for n in dict.fromkeys(len(run) for run in runs.values()):
        alike = {name: measures[name] for name, run in runs.items() if len(run) == n}
        intervals = _over_rows(alike, groups, n, n_boot=n_boot, seed=seed, level=level)
        for (name, measure), (low, high) in zip(alike.items(), intervals, strict=True):
            values = measure.of(unit_weights(n))
            low_classes, high_classes = percentile(
                class_draws_of_means(values[:, 0], groups, n_boot=n_boot, seed=seed), level=level
            )
            frames[name] = pd.DataFrame(
                {
                    "run": name,
                    "group": groups.groups,
                    "n_classes": groups.sums((measure.support > 0).astype(float)).astype(int),
                    "n": groups.sums(measure.support.astype(float)).astype(int),
                    "metric": measure.name,
                    "value": groups.means(values)[:, 0],
                    "low": low,
                    "high": high,
                    "low_classes": low_classes,
                    "high_classes": high_classes,
                }
            )
    return pd.concat([frames[name] for name in runs], ignore_index=True)


def check_groups(groups: ClassGroups, n_classes: int, *, whose: str) -> None:
    """Refuse groups of another number of classes."""
    if groups.belongs.shape[0] != n_classes:
        raise InvalidInputError(
            f"{groups.name!r} groups {groups.belongs.shape[0]} classes, and {whose} has "
            f"{n_classes}; make the groups from the classes of the run"
        )


def class_draws_of_means(
    values: NDArray[np.float64], groups: ClassGroups, *, n_boot: int, seed: int
) -> NDArray[np.float64]:
    """Mean over the classes of each group, drawn with replacement within the group.

    Parameters
    ----------
    values
        One per class, shape (c,); NaN where a class has no test rows.
    groups
        Of the classes.
    n_boot, seed
        Number of draws, and their seed.

    Returns
    -------
    samples
        Shape (g, n_boot); NaN for a group with fewer than two classes that have a value.

    Examples
    --------
    >>> table = pd.DataFrame({"class": ["elk", "wren", "crow"], "kind": ["mammal", "bird", "bird"]})
    >>> kinds = ClassGroups.from_frame(table, "kind", ["elk", "wren", "crow"])
    >>> draws = class_draws_of_means(np.array([0.5, 0.5, 0.5]), kinds, n_boot=2, seed=0)
    >>> print(draws)
    [[nan nan]
     [0.5 0.5]]
    """
    samples = np.full((len(groups.groups), n_boot), np.nan)
    members = groups.belongs.T.tocsr()
    for group, generator in enumerate(np.random.default_rng(seed).spawn(len(samples))):
        codes = members.indices[members.indptr[group] : members.indptr[group + 1]]
        known = values[codes][~np.isnan(values[codes])]
        if len(known) > 1:
            draws = generator.multinomial(len(known), np.full(len(known), 1 / len(known)), n_boot)
            samples[group] = draws @ known / len(known)
    return samples


def _over_rows(
    measures: Mapping[str, ClassMeasure],
    groups: ClassGroups,
    n: int,
    *,
    n_boot: int,
    seed: int,
    level: float,
) -> NDArray[np.float64]:
    """Intervals by the same draws of rows for all runs, shape (runs, 2, g)."""
    _, samples = bootstrap(
        lambda weights: np.concatenate(
            [groups.means(measure.of(weights)) for measure in measures.values()]
        ),
        n,
        n_boot=n_boot,
        seed=seed,
    )
    bounds = np.stack(percentile(samples, level=level))  # (2, runs g)
    return bounds.reshape(2, len(measures), -1).swapaxes(0, 1)
