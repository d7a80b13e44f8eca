"""Class sizes: how many training rows each class has, and the groups that this makes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.class_groups import ClassGroups
from featstore.html_report.command import train_and_val
from featstore.run import ProbeRun
from featstore.store import FeatureStore

MANY, FEW = 100, 20
"""More training rows than the first are many, fewer than the second are few."""

_NAME = "training rows"


def class_sizes(store: FeatureStore, run: ProbeRun) -> NDArray[np.intp] | None:
    """Count the rows that a run was trained on, by class.

    Parameters
    ----------
    store
        Of the run.
    run
        Of a single-label target.

    Returns
    -------
    sizes
        Shape (c,); None where the store has no longer the classes, splits or subset of the run.
    """
    config, samples = run.config, store.samples
    target = samples.targets.get(config.target)
    if target is None or target.kind != "single" or target.classes != run.predictions.classes:
        return None
    if config.train_subset is not None:
        if config.train_subset not in store.subsets:
            return None
        rows = store.subset(config.train_subset).rows
    else:
        splits = [name for name in train_and_val(config.train_split, samples.split_names) if name]
        if not set(splits) <= set(samples.split_names):
            return None
        rows = np.concatenate([store.rows(name) for name in splits])
    codes = target.codes[rows[target.labelled[rows]]]
    return np.bincount(codes, minlength=len(target.classes))


def size_groups(sizes: NDArray[np.intp], classes: tuple[str, ...]) -> ClassGroups | None:
    """Divide classes into those with many, medium and few training rows.

    Parameters
    ----------
    sizes
        Training rows of each class, shape (c,).
    classes
        Names of the c classes.

    Returns
    -------
    groups
        None where all classes are in one.

    References
    ----------
    Liu, Miao, Zhan, Wang, Gong & Yu (2019), Large-scale long-tailed recognition in an open world,
    CVPR: many-shot classes have more than 100 training images, medium-shot ones 20 to 100, few-shot
    ones fewer than 20.

    Examples
    --------
    >>> size_groups(np.array([500, 100, 3]), ("elk", "fox", "gnu")).groups
    ('many: over 100', 'medium: 20 to 100', 'few: under 20')
    >>> size_groups(np.array([500, 200, 300]), ("elk", "fox", "gnu")) is None
    True
    """
    names = np.where(
        sizes > MANY,
        f"many: over {MANY}",
        np.where(sizes < FEW, f"few: under {FEW}", f"medium: {FEW} to {MANY}"),
    )
    if len(np.unique(names)) < 2:
        return None
    frame = pd.DataFrame({"class": classes, _NAME: names})
    return ClassGroups.from_frame(frame, _NAME, classes)
