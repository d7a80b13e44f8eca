"""Part: rows of a view with their labels, and the share of them that is set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.folds import stratified_folds
from featstore.samples import Target
from featstore.store import FeatureStore
from featstore.view import View


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of a view with labels of one target.

    Attributes
    ----------
    view
        The rows.
    labels
        Class codes (n,), or bool (n, c).
    """

    view: View
    labels: NDArray[Any]

    def __len__(self) -> int:
        return len(self.labels)


def labelled_part(store: FeatureStore, names: list[str], labels: Target, split: str) -> Part:
    """Return the labelled rows of a split; an error if there are none."""
    return _labelled(store, names, labels, store.rows(split), f"split {split!r}")


def subset_part(
    store: FeatureStore, names: list[str], labels: Target, split: str, subset: str
) -> Part:
    """Return the labelled rows of a stored subset of a split.

    Raises
    ------
    FeatureNotFoundError
        If there is no such subset.
    InvalidInputError
        If the subset has rows of other splits, or none with a label.
    """
    rows = store.subset(subset).rows
    outside = rows[~np.isin(rows, store.rows(split), assume_unique=True)]
    if len(outside):
        raise InvalidInputError(
            f"{len(outside)} of {len(rows)} rows of the subset {subset!r} are not in the split "
            f"{split!r}, e.g. {store.samples.ids[outside[0]]}; train on a subset that was drawn "
            "from it"
        )
    return _labelled(store, names, labels, rows, f"subset {subset!r}")


def _labelled(
    store: FeatureStore, names: list[str], labels: Target, rows: NDArray[np.intp], what: str
) -> Part:
    view = store.view(names, rows=rows[labels.labelled[rows]])
    if view.shape[0] == 0:
        raise InvalidInputError(f"{what} has no labelled rows with readable images")
    return Part(view, labels.codes[view.rows])


def joined(store: FeatureStore, parts: Sequence[Part]) -> Part:
    """Return the rows of several parts together, in the store's order."""
    rows = np.concatenate([part.view.rows for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    order = np.argsort(rows)
    return Part(store.view(list(parts[0].view.names), rows=rows[order]), labels[order])


def subset(store: FeatureStore, part: Part, index: NDArray[Any]) -> Part:
    """Return some rows of a part: positions (m,), or a mask (n,)."""
    rows = part.view.rows[index]
    return Part(store.view(list(part.view.names), rows=rows), part.labels[index])


def draw_validation(
    labels: NDArray[Any],
    fraction: float,
    seed: int,
    *,
    groups: NDArray[np.integer] | None = None,
) -> NDArray[np.bool_]:
    """Draw a stratified share of training rows.

    Parameters
    ----------
    labels
        Class codes (n,), or bool (n, c), which is drawn without strata.
    fraction
        Share of each class; classes with one row stay in training.
    seed
        Of the draw.
    groups
        Codes (n,): rows with equal codes are drawn together.  The draw is then the first of
        1 / `fraction` `stratified_folds`.

    Returns
    -------
    chosen
        Shape (n,), bool.

    Raises
    ------
    InvalidInputError
        If no row can be spared, or there are fewer groups than folds.
    """
    if groups is not None:
        folds = stratified_folds(labels, max(2, round(1 / fraction)), seed=seed, groups=groups)
        return np.asarray(folds == 0)
    rng = np.random.default_rng(seed)
    strata = labels if labels.ndim == 1 else np.zeros(len(labels), np.int64)
    _, codes, counts = np.unique(strata, return_inverse=True, return_counts=True)
    shares = _whole_shares(fraction * counts, most=counts - 1)
    # Of the rows in random order, the first ones of each class.
    order = rng.permutation(len(labels))
    order = order[np.argsort(codes[order], kind="stable")]
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    rank = np.arange(len(labels)) - starts
    chosen = np.zeros(len(labels), bool)
    chosen[order[rank < np.repeat(shares, counts)]] = True
    if not chosen.any():
        raise InvalidInputError(
            f"{len(labels)} training rows are too few to set {fraction:.0%} aside for choosing "
            "a value; give a fixed one (--value) or a validation split"
        )
    return chosen


def _whole_shares(shares: NDArray[np.floating], *, most: NDArray[np.intp]) -> NDArray[np.intp]:
    """Round shares to whole numbers with the right total: the largest remainders go up."""
    whole: NDArray[np.intp] = np.minimum(np.floor(shares).astype(np.intp), most)
    remainders = np.where(whole < most, shares - whole, -1.0)
    missing = round(float(shares.sum())) - int(whole.sum())
    up = np.argsort(-remainders, kind="stable")[: max(missing, 0)]
    whole[up[remainders[up] >= 0]] += 1
    return whole
