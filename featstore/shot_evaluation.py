"""few_shot: a probe fitted to k rows of every class, over many draws of them."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.errors import InvalidInputError, ShortClassesWarning
from featstore.few_shot_choice import choose, fixed_value
from featstore.few_shot_frames import means_frame, selection_frame, values_frame
from featstore.few_shot_presets import SHOT_DRAWS
from featstore.few_shot_result import FewShot
from featstore.few_shot_setup import FewShotSetup, RowScaling
from featstore.history import environment
from featstore.id_order import id_hashes, sort_keys
from featstore.shot_draws import Short, ShotDraw, ShotDraws
from featstore.shot_hits import ShotHits, intervals_over_rows
from featstore.shot_rows import ShotRows
from featstore.store import FeatureStore
from featstore.subset_scores import score_subsets
from featstore.trial import Trial

_CHOICE_DRAWS = 5
_CHOICE_ROWS = 2000  # that these draws are scored on, at most
_CHOICE_ROWS_PER_CLASS = 10  # that all of them must leave, to be scored on the same rows
_HELD_VALUES = 2**27  # of drawn rows, in memory at a time


def few_shot(
    store: FeatureStore | str | Path,
    features: str | Sequence[str],
    *,
    shots: Sequence[int] | None = None,
    draws: int | None = None,
    probe: str | None = None,
    preset: str | None = None,
    value: float | None = None,
    target: str | None = None,
    scaling: RowScaling = "none",
    train: str = "train",
    test: str | None = None,
    nested: bool | None = None,
    short: Short | None = None,
    seed: int = 0,
    device: str = "cpu",
    n_boot: int = 1000,
) -> FewShot:
    """Evaluate a probe with k training rows per class.

    The same draws serve every feature and probe.  Where the preset has several values of the
    probe's hyper-parameter, one is chosen for each k on other draws and on training rows that
    these did not take; never on reported rows.

    Parameters
    ----------
    store
        The store, or its path.
    features
        One feature, or several to concatenate in this order.
    shots
        Numbers of rows per class, k.  By default the preset's, or 1, 2, 4, 8, 16, without those
        that half of the classes or more have no more rows than; smaller classes give all.
    draws
        How often rows are drawn; by default the preset's, or 20.
    probe, preset
        As for `featstore.probe`.
    value
        Take this value of the hyper-parameter (C, k, alpha, …) and choose nothing.
    target
        Label column; the first by default.
    scaling
        ``"l2"`` brings every block of every row to unit length.
    train, test
        Splits to draw from and to report on; ``test``, or ``val`` in stores without a test split.
    nested
        Whether a draw's rows for a smaller k are among those for a larger one; by default the
        preset's way, or so.
    short
        A class with fewer than k rows is an ``"error"``, or gives ``"all"`` it has; an error by
        default where `shots` are named.
    seed
        Of the draws, of the bootstrap, and of probes that draw.
    device
        ``"cpu"``, ``"cuda"`` or ``"auto"``.
    n_boot
        Resamples of the intervals over test rows; 0 leaves them out.

    Returns
    -------
    result
        Values of every draw, and their means with intervals.

    Raises
    ------
    FeatureNotFoundError, NotSealedError
        If a feature, target or split is not there or not finished.
    InvalidInputError
        If the target is multi-label, a class has too few rows, or features hold NaN.

    Warns
    -----
    ShortClassesWarning
        If shots that nobody named are left out, or more than a class has.
    """
    setup = FewShotSetup.of(
        store,
        features,
        probe=probe,
        preset=preset,
        value=value,
        target=target,
        scaling=scaling,
        train=train,
        test=test,
        seed=seed,
        device=device,
    )
    if setup.train_split == setup.test_split:
        raise InvalidInputError(
            f"the probe would be tested on the rows it is trained on ({train!r}); choose another "
            "--test split"
        )
    asked = _plan(setup, shots=shots, draws=draws, nested=nested, short=short, seed=seed)
    named = shots is not None or short is not None or asked.short == "all"
    plan = asked if named else asked.suited_to(setup.train.labels)
    drawn = _draw(setup, plan)
    trials: dict[int, list[Trial]] = {}
    if setup.chooses:
        others = _draw(setup, replace(plan, draws=_CHOICE_DRAWS, purpose="choice"))
        trials, chosen = _choose(setup, others, seed)
    else:
        chosen = {
            k: fixed_value(setup, [one.subset.rows for one in drawn if one.shots == k])
            for k in plan.shots
        }
    queries = ShotRows.of(setup.test, setup.blocks)
    hits, unconverged = _hits(setup, drawn, queries, chosen)
    config = setup.config(
        asdict(plan),
        chosen_on=f"{_CHOICE_DRAWS} other draws of {setup.train_split}",
        left_out=tuple(k for k in asked.shots if k not in plan.shots),
        short_classes=plan.short_classes(setup.train.labels),
    )
    if not named and config.shortage:
        warnings.warn(
            f"{config.shortage}; name the shots to have these and no others (shots=, --shots)",
            ShortClassesWarning,
            stacklevel=2,
        )
    values = values_frame(
        config,
        [
            (one.shots, one.draw, metric, value)
            for one in drawn
            for metric, value in hits[one.shots, one.draw].metrics(setup.n_classes).items()
        ],
    )
    summary = means_frame(values, chosen, unconverged)
    summary["test_low"], summary["test_high"] = intervals_over_rows(
        [_shares(hits, k, m) for k, m in zip(summary["shots"], summary["metric"], strict=True)],
        queries.y,
        setup.n_classes,
        per_class=(summary["metric"] == "mean_per_class").tolist(),
        n_boot=n_boot,
        seed=seed,
    )
    return FewShot(
        config=config,
        values=values,
        summary=summary,
        selection=selection_frame(trials, chosen),
        draws=pd.DataFrame(
            [(one.shots, one.draw, len(one.subset), one.subset.digest) for one in drawn],
            columns=["shots", "draw", "n", "digest"],
        ),
        provenance=environment(),
    )


def _plan(setup: FewShotSetup, *, seed: int, **asked: Any) -> ShotDraws:
    """Return the preset's draws, with what was asked for in place of its own."""
    given = {key: value for key, value in asked.items() if value is not None}
    if "shots" in given:
        given["shots"] = tuple(given["shots"])
    return replace(SHOT_DRAWS.get(setup.protocol.name, ShotDraws()), seed=seed, **given)


def _draw(setup: FewShotSetup, plan: ShotDraws) -> list[ShotDraw]:
    return plan.draw(
        setup.train.view.rows,
        setup.train.labels,
        setup.store.samples.ids,
        classes=setup.labels.classes,
        origin={"target": setup.target_name, "split": setup.train_split},
    )


def _choose(
    setup: FewShotSetup, drawn: Sequence[ShotDraw], seed: int
) -> tuple[dict[int, list[Trial]], dict[int, float | None]]:
    """Trials and the best value by shots, on rows that none of the draws took."""
    pool = setup.train.view.rows
    keys = sort_keys(id_hashes(setup.store.samples.ids[pool].tolist()), seed, "choice rows")
    order = pool[np.argsort(keys, kind="stable")]

    def left_by(taken: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.sort(order[~np.isin(order, taken)][:_CHOICE_ROWS])

    taken = np.unique(np.concatenate([one.subset.rows for one in drawn]))
    scored = [left_by(taken)] * len(drawn)
    if len(scored[0]) < min(_CHOICE_ROWS, _CHOICE_ROWS_PER_CLASS * setup.n_classes):
        # Small data sets: the draws together leave next to nothing, each by itself enough.
        scored = [left_by(one.subset.rows) for one in drawn]
    rows = ShotRows.of(setup.train, setup.blocks, [taken, *scored])
    subsets: dict[int, list[NDArray[np.intp]]] = defaultdict(list)
    queries: dict[int, list[NDArray[np.intp]]] = defaultdict(list)
    for one, asked in zip(drawn, scored, strict=True):
        subsets[one.shots].append(rows.places(one.subset.rows))
        queries[one.shots].append(rows.places(asked))
    return choose(setup, rows, subsets, queries)


def _hits(
    setup: FewShotSetup,
    drawn: Sequence[ShotDraw],
    queries: ShotRows,
    chosen: Mapping[int, float | None],
) -> tuple[dict[tuple[int, int], ShotHits], dict[int, int]]:
    """Right answers by (shots, draw), and by shots the fits that did not converge."""
    hits: dict[tuple[int, int], ShotHits] = {}
    unconverged = dict.fromkeys(chosen, 0)
    for part in _in_memory(drawn, setup.train.view.shape[1]):
        rows = ShotRows.of(setup.train, setup.blocks, [one.subset.rows for one in part])
        # Together where the value is the same: nested draws share products.
        for value in dict.fromkeys(chosen[one.shots] for one in part):
            some = [one for one in part if chosen[one.shots] == value]
            subsets = [rows.places(one.subset.rows) for one in some]
            values = [] if value is None else [value]
            for found in score_subsets(setup.estimator, rows.X, rows.y, subsets, queries.X, values):
                one = some[found.subset]
                hits[one.shots, one.draw] = ShotHits.of(found, queries.y, setup.n_classes)
                unconverged[one.shots] += not found.converged
    return hits, unconverged


def _in_memory(drawn: Sequence[ShotDraw], dim: int) -> Iterator[list[ShotDraw]]:
    """Draws whose rows fit in memory together; equal numbers, which share rows, side by side."""
    part: list[ShotDraw] = []
    held = 0
    for one in sorted(drawn, key=lambda one: (one.draw, one.shots)):
        size = len(one.subset) * dim
        if part and held + size > _HELD_VALUES:
            yield part
            part, held = [], 0
        part.append(one)
        held += size
    yield part


def _shares(
    hits: Mapping[tuple[int, int], ShotHits], shots: int, metric: str
) -> NDArray[np.float64]:
    """Share of the draws that got each test row right, shape (m,)."""
    several = [found for (k, _), found in hits.items() if k == shots]
    shares: NDArray[np.float64] = np.mean(
        [found.top5 if metric == "top5" else found.top1 for found in several], axis=0
    )
    return shares
