"""Contest: a store's own features, raced and read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.fixed_threads import fixed_threads
from featstore.race.arrival import Arrival, race
from featstore.race.peers import scikit_learn_peers
from featstore.race.problem import Problem
from featstore.race.reading import Reading, read_speeds
from featstore.race.turns import PAIRS, Turn, take_turns
from featstore.store import FeatureStore
from featstore.suggest import did_you_mean
from featstore.view import View

LOGISTIC = "logistic"
ACCURACIES = (1e-3, 1e-4)
#: Bytes of values that are read at most: features may be larger than memory.
_MOST_READ = 1 << 30


@dataclass(frozen=True)
class Bench:
    """What was raced, on what, and what came out.

    Attributes
    ----------
    features, target
        Names; several features are fused.
    n_train, n_test, n_classes, dim
        Sizes of the races.
    C
        Of logistic regression.
    threads
        Of everything that computed.
    readings
        How fast the store was read: the first rows, up to 1 GiB of them.
    arrivals
        Logistic regression: CPU seconds of every solver to every accuracy.
    gap_bound
        How far the optimum that accuracies are relative to may be from the minimum, relative to it;
        NaN without logistic regression.
    turns
        The other probes.
    """

    features: tuple[str, ...]
    target: str
    n_train: int
    n_test: int
    n_classes: int
    dim: int
    C: float
    threads: int
    readings: list[Reading]
    arrivals: list[Arrival]
    gap_bound: float
    turns: list[Turn]


def bench(
    store: FeatureStore,
    features: str | Sequence[str],
    *,
    probes: Sequence[str] = (LOGISTIC,),
    target: str | None = None,
    C: float = 1.0,
    rows: int = 2000,
    repeats: int = 3,
    budget: float = 20.0,
    threads: int = 1,
    seed: int = 0,
) -> Bench:
    """Race probes against scikit-learn on a store's features, and time reading them.

    Everybody runs in turns within each repeat, so that a busy machine is busy for all.
    scikit-learn's solvers write down where they were at what time and are stopped from outside:
    their time to an accuracy is known without the guess of a tolerance.  featstore stops by its own
    estimate, and its time includes the certificate.

    Parameters
    ----------
    store
        Where the features are.
    features
        One, or several to fuse.
    probes
        ``logistic``, and any of `featstore.race.turns.PAIRS`.
    target
        A single-label target; the first by default.
    C
        Of logistic regression.
    rows
        Training rows, drawn at random, and as many test rows: races take long with many.
    repeats
        Of every race.
    budget
        CPU seconds for the probes, an equal part for each; of logistic regression, for scikit-learn
        alone.
    threads
        Of everything that computes.
    seed
        Of the rows.

    Raises
    ------
    InvalidInputError
        If the target has several labels for a row, or a single class; if a probe is not known.

    Examples
    --------
    >>> import tempfile
    >>> import featstore as fs
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> place = tempfile.TemporaryDirectory()
    >>> np.savez(f"{place.name}/d.npz", features=X, y=y)
    >>> _ = fs.import_features(f"{place.name}/d.npz", f"{place.name}/d.zarr", name="pixels")
    >>> store = fs.open(f"{place.name}/d.zarr")
    >>> found = bench(store, "pixels", probes=["ridge"], rows=200, repeats=1, budget=0.1)
    >>> found.n_train, found.turns[0].agreement > 0.9
    (200, True)
    >>> place.cleanup()
    """
    known = [LOGISTIC, *PAIRS]
    for probe in probes:
        if probe not in known:
            raise InvalidInputError(
                f"there is no race for the probe {probe!r}. {did_you_mean(probe, known)}"
            )
    if not budget > 0 or rows < 2 or repeats < 1:
        raise InvalidInputError(
            f"budget must be above 0, rows at least 2 and repeats at least 1, got {budget}, {rows} "
            f"and {repeats}"
        )
    view = store.view(features)
    name, column = store.target(target)
    if column.kind != "single":
        raise InvalidInputError(
            f"target {name!r} has any number of labels for a row; the race needs one label each: "
            "choose with --target"
        )
    train, test = _drawn(store, view, column.codes, rows=rows, seed=seed)
    classes, y = np.unique(column.codes[view.rows[train]], return_inverse=True)
    if len(classes) < 2:
        raise InvalidInputError(f"the {len(train)} training rows of {name!r} have a single class")
    readings = read_speeds(_bounded(store, view), budget=budget / 10)
    X, queries = view.take(train), view.take(test)
    share = budget / len(probes)
    arrivals: list[Arrival] = []
    bound = float("nan")
    turns = []
    with fixed_threads(threads):
        if LOGISTIC in probes:
            arrivals, optimum = race(
                Problem(" + ".join(view.names), X, y.astype(np.int64), C),
                scikit_learn_peers(),
                repeats=repeats,
                budget=share,
                accuracies=ACCURACIES,
                shared=True,
            )
            bound = optimum["relative_gap_bound"]
        for probe in probes:
            if probe != LOGISTIC:
                wide = X.astype(np.float32), queries.astype(np.float32)
                turns.append(take_turns(probe, wide[0], y, wide[1], repeats=repeats, budget=share))
    return Bench(
        features=view.names,
        target=name,
        n_train=len(train),
        n_test=len(test),
        n_classes=len(classes),
        dim=view.shape[1],
        C=C,
        threads=threads,
        readings=readings,
        arrivals=arrivals,
        gap_bound=bound,
        turns=turns,
    )


def _bounded(store: FeatureStore, view: View) -> View:
    """Show the first rows only, where all of them are much."""
    n = max(_MOST_READ // (view.shape[1] * view.dtype.itemsize), 1)
    return view if n >= len(view) else store.view(view.names, rows=view.rows[:n])


def _drawn(
    store: FeatureStore, view: View, codes: NDArray[np.generic], *, rows: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw labelled rows of the view to train on, and others to ask about."""
    labelled = np.asarray(codes[view.rows]) >= 0
    splits = store.samples.splits[view.rows]
    rng = np.random.default_rng(seed)
    is_train = splits == "train"
    if not is_train.any():
        is_train = np.ones_like(labelled)
    train = rng.permutation(np.flatnonzero(labelled & is_train))[:rows]
    rest = np.flatnonzero(~is_train) if not is_train.all() else train
    return np.sort(train), np.sort(rng.permutation(rest)[:rows])
