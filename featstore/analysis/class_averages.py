"""The mean over the classes of each group, e.g. of each taxonomic class (Fig. A3)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.bootstrap import bootstrap, unit_weights
from featstore.class_bootstrap import class_draws_of_means, row_draws_of_means
from featstore.class_groups import ClassGroups
from featstore.class_measure import ClassMeasure, class_measure
from featstore.decisions import Outcomes, decided
from featstore.errors import InvalidInputError
from featstore.intervals import percentile
from featstore.predictions import Predictions


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
        Percentile bootstrap: resamples (0 leaves the intervals NaN), their seed, coverage.

    Returns
    -------
    averages
        One row per run and group: run, group, n_classes (with test rows), n (test rows, or
        positives), metric (accuracy or average_precision), value, low, high, low_classes,
        high_classes.

        low and high come from drawing test rows, class by class: what other test images of these
        classes could have shown.  low_classes and high_classes come from drawing the classes of the
        group, each with its rows as they are: what other classes of this kind could have shown,
        their images included; NaN for a group with one class.

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
    frames = []
    for name, run in runs.items():
        check_groups(groups, run.n_classes, whose=name)
        measure = class_measure(run)
        values = measure.of(unit_weights(len(run)))
        low, high = percentile(
            _over_rows(run, measure, groups, n_boot=n_boot, seed=seed), level=level
        )
        low_classes, high_classes = percentile(
            class_draws_of_means(values[:, 0], groups, n_boot=n_boot, seed=seed), level=level
        )
        frames.append(
            pd.DataFrame(
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
        )
    return pd.concat(frames, ignore_index=True)


def check_groups(groups: ClassGroups, n_classes: int, *, whose: str) -> None:
    """Refuse groups of another number of classes."""
    if groups.belongs.shape[0] != n_classes:
        raise InvalidInputError(
            f"{groups.name!r} groups {groups.belongs.shape[0]} classes, and {whose} has "
            f"{n_classes}; make the groups from the classes of the run"
        )


def _over_rows(
    run: Outcomes, measure: ClassMeasure, groups: ClassGroups, *, n_boot: int, seed: int
) -> NDArray[np.float64]:
    """Means of the groups with rows drawn, shape (g, n_boot)."""
    if isinstance(run, Predictions) and run.multilabel:
        # A row counts for several labels, so that there are no rows of a class to draw from.
        return bootstrap(
            lambda weights: groups.means(measure.of(weights)), len(run), n_boot=n_boot, seed=seed
        )[1]
    decisions = decided(run)
    right = np.bincount(decisions.truth[decisions.right], minlength=run.n_classes)
    kinds = np.stack([measure.support - right, right], axis=1)
    return row_draws_of_means(kinds, (0, 1), groups, n_boot=n_boot, seed=seed)
