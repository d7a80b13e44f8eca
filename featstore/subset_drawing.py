"""draw_subsets: subsets of a store's rows, drawn by a plan, named and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.class_draws import ClassDraws
from featstore.counts import count_name
from featstore.errors import InvalidInputError
from featstore.history import record
from featstore.samples import Target
from featstore.shot_draws import ShotDraws
from featstore.size_draws import SizeDraws
from featstore.store import FeatureStore, checked_name
from featstore.subset import Subset

Draws = SizeDraws | ShotDraws | ClassDraws


def draw_subsets(
    store: FeatureStore | str | Path,
    draws: Draws,
    *,
    split: str | None = "train",
    target: str | None = None,
    prefix: str = "",
    save: bool = True,
) -> dict[str, Subset]:
    """Draw subsets, once for all features and probes.

    Names say what was drawn: ``50k`` rows, ``4-shot``, ``200x500`` (classes and rows of each);
    where there are several draws, ``50k-draw0``, ``50k-draw1``, …  What is in the store under a
    name stays: repeating a command does nothing, and other rows need another name.

    Parameters
    ----------
    store
        The store, or its path.
    draws
        How to draw.
    split
        The split to draw from; all rows for None.
    target
        Label column that classes are of, the first by default; rows without a label are left out.
        Uniform draws know no classes and, unless a target is given, take any row.
    prefix
        In front of every name.
    save
        Whether to store them.

    Returns
    -------
    subsets
        By name.

    Raises
    ------
    FeatureNotFoundError
        If the split or the target does not exist.
    InvalidInputError
        If there are too few rows, classes are asked of a multi-label target, or a name is taken
        by other rows.

    Examples
    --------
    >>> import tempfile
    >>> from featstore.samples import Samples
    >>> ids = np.asarray([f"{i}.jpg" for i in range(100)])
    >>> samples = Samples(ids, np.full(100, "train"))
    >>> place = tempfile.TemporaryDirectory()
    >>> store = FeatureStore.create(f"{place.name}/s.zarr", samples)
    >>> list(draw_subsets(store, SizeDraws((10, 50)))), store.subsets
    (['10', '50'], ['10', '50'])
    >>> place.cleanup()
    """
    if not isinstance(store, FeatureStore):
        store = FeatureStore.open(store)
    drawn = {
        checked_name(f"{prefix}{name}"): subset
        for name, subset in _draw(store, draws, store.rows(split), split, target).items()
    }
    if save:
        known = set(store.subsets)
        # All or none: a later name that is taken must not leave the earlier ones behind.
        for name in known & drawn.keys():
            _check_same(store, name, drawn[name])
        new = [name for name in drawn if name not in known]
        for name in new:
            store.save_subset(name, drawn[name])
        if new:
            record(store.folder, "subset", names=new)
    return drawn


def _draw(
    store: FeatureStore,
    draws: Draws,
    rows: NDArray[np.intp],
    split: str | None,
    target: str | None,
) -> dict[str, Subset]:
    ids, origin = store.samples.ids, {"split": split}
    if isinstance(draws, SizeDraws) and not draws.stratified:
        if target is not None:
            target, labels = store.target(target)
            rows, origin = rows[labels.labelled[rows]], {"target": target, "split": split}
        return {
            _name(count_name(one.size), one.draw, draws.draws): one.subset
            for one in draws.draw(rows, ids, origin=origin)
        }
    target, labels = _single(store, target)
    rows, origin = rows[labels.labelled[rows]], {"target": target, "split": split}
    codes: NDArray[Any] = labels.codes[rows]
    if isinstance(draws, SizeDraws):
        return {
            _name(count_name(one.size), one.draw, draws.draws): one.subset
            for one in draws.draw(rows, ids, codes=codes, origin=origin)
        }
    if isinstance(draws, ShotDraws):
        return {
            _name(f"{one.shots}-shot", one.draw, draws.draws): one.subset
            for one in draws.draw(rows, codes, ids, classes=labels.classes, origin=origin)
        }
    return {
        f"{one.n_classes}x{one.per_class}": one.subset
        for one in draws.draw(rows, codes, ids, classes=labels.classes, origin=origin)
    }


def _single(store: FeatureStore, target: str | None) -> tuple[str, Target]:
    name, labels = store.target(target)
    if labels.kind == "multi":
        raise InvalidInputError(
            f"{name!r} has several labels per row: rows cannot be drawn class by class; choose a "
            "single-label target (--target), or draw uniformly"
        )
    return name, labels


def _name(what: str, draw: int, draws: int) -> str:
    return what if draws == 1 else f"{what}-draw{draw}"


def _check_same(store: FeatureStore, name: str, subset: Subset) -> None:
    old = store.subset(name)
    if old.digest != subset.digest:
        raise InvalidInputError(
            f"{store.location} has a subset {name!r} of other rows: {old.recipe}, seed {old.seed}; "
            f"subsets stay what they are: choose another --prefix, or remove it with "
            f"`featstore rm {store.location} {name} --subset`"
        )
