"""episodes: a probe in N-way K-shot problems, a thousand of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.episode_draws import EpisodeDraws, Episodes
from featstore.errors import InvalidInputError
from featstore.few_shot_choice import choose, fixed_value
from featstore.few_shot_frames import means_frame, selection_frame, values_frame
from featstore.few_shot_result import FewShot
from featstore.few_shot_setup import FewShotSetup, RowScaling
from featstore.history import environment
from featstore.shot_rows import ShotRows
from featstore.store import FeatureStore
from featstore.subset_scores import score_subsets
from featstore.trial import Trial

_CHOICE_EPISODES = 100


def episodes(
    store: FeatureStore | str | Path,
    features: str | Sequence[str],
    *,
    way: int = 5,
    shots: Sequence[int] = (1, 5),
    queries: int = 15,
    episodes: int = 1000,
    probe: str | None = None,
    preset: str | None = None,
    value: float | None = None,
    target: str | None = None,
    scaling: RowScaling = "none",
    train: str = "train",
    test: str | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> FewShot:
    """Evaluate a probe in episodes (Vinyals et al. 2016; Snell et al. 2017).

    Every episode draws `way` classes, `shots` rows of each to learn from (from `train`) and
    `queries` others to be told apart (from `test`).  Where the preset has several values of the
    hyper-parameter, one is chosen for each number of shots in other episodes, whose rows are all
    of `train`.

    Parameters
    ----------
    store, features
        As for `featstore.few_shot`.
    way, shots, queries, episodes
        Classes of an episode; rows of each to learn from, for every number one set of episodes;
        rows of each to be told apart; how many.
    probe, preset, value, target, scaling, seed, device
        As for `featstore.few_shot`.
    train, test
        Splits that episodes draw from; the same one for both keeps an episode's queries apart from
        its support, but then only a fixed value is possible.

    Returns
    -------
    result
        Accuracy of every episode, and the mean with its interval.

    Raises
    ------
    FeatureNotFoundError, NotSealedError
        If a feature, target or split is not there or not finished.
    InvalidInputError
        If the target is multi-label, classes have too few rows, or features hold NaN.
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
    if setup.chooses and setup.train_split == setup.test_split:
        raise InvalidInputError(
            f"all episodes are drawn from {train!r}, so a value would be chosen on reported rows; "
            "give a fixed one (--value), or another --train split"
        )
    plans = [
        EpisodeDraws(way=way, shots=k, queries=queries, episodes=episodes, seed=seed)
        for k in sorted(set(shots))
    ]
    if not plans:
        raise InvalidInputError("shots is empty: name at least one number of rows per class")
    drawn = {plan.shots: _draw(setup, plan) for plan in plans}
    trials: dict[int, list[Trial]] = {}
    if setup.chooses:
        trials, chosen = _choose(setup, plans)
    else:
        chosen = {k: fixed_value(setup, list(one.support)) for k, one in drawn.items()}
    rows, unconverged = [], {}
    for k, one in drawn.items():
        accuracies, unconverged[k] = _accuracies(setup, one, chosen[k])
        rows += [(k, i, "top1", float(accuracy)) for i, accuracy in enumerate(accuracies)]
    config = setup.config(
        {**asdict(plans[0]), "shots": tuple(drawn)},
        chosen_on=f"{_CHOICE_EPISODES} other episodes of {setup.train_split}",
    )
    values = values_frame(config, rows)
    return FewShot(
        config=config,
        values=values,
        summary=means_frame(values, chosen, unconverged),
        selection=selection_frame(trials, chosen),
        draws=pd.DataFrame(
            [(k, 0, one.support.size + one.queries.size, one.digest) for k, one in drawn.items()],
            columns=["shots", "draw", "n", "digest"],
        ),
        provenance=environment(),
    )


def _draw(setup: FewShotSetup, plan: EpisodeDraws, *, from_train: bool = False) -> Episodes:
    """Draw queries from the reported split, or all rows from the training split."""
    support, queries = (
        (part.view.rows, part.labels)
        for part in (setup.train, setup.train if from_train else setup.test)
    )
    return plan.draw(
        support,
        queries,
        setup.store.samples.ids,
        classes=setup.labels.classes,
        origin={
            "target": setup.target_name,
            "support": setup.train_split,
            "queries": setup.train_split if from_train else setup.test_split,
        },
    )


def _choose(
    setup: FewShotSetup, plans: Sequence[EpisodeDraws]
) -> tuple[dict[int, list[Trial]], dict[int, float | None]]:
    """Trials and the best value by shots, in episodes of training rows alone."""
    drawn = {
        plan.shots: _draw(
            setup, replace(plan, episodes=_CHOICE_EPISODES, purpose="choice"), from_train=True
        )
        for plan in plans
    }
    needed = [rows.ravel() for one in drawn.values() for rows in (one.support, one.queries)]
    rows = ShotRows.of(setup.train, setup.blocks, needed)
    return choose(
        setup,
        rows,
        {k: list(rows.places(one.support)) for k, one in drawn.items()},
        {k: list(rows.places(one.queries)) for k, one in drawn.items()},
    )


def _accuracies(
    setup: FewShotSetup, drawn: Episodes, value: float | None
) -> tuple[NDArray[np.float64], int]:
    """Accuracy of every episode, shape (e,), and how many fits did not converge."""
    support = ShotRows.of(setup.train, setup.blocks, [drawn.support.ravel()])
    queries = ShotRows.of(setup.test, setup.blocks, [drawn.queries.ravel()])
    subsets = list(support.places(drawn.support))
    asked = list(queries.places(drawn.queries))
    accuracies, unconverged = np.full(len(drawn), np.nan), 0
    values = [] if value is None else [value]
    for found in score_subsets(
        setup.estimator, support.X, support.y, subsets, queries.X, values, asked=asked
    ):
        predicted = found.classes[found.scores.argmax(axis=1)]
        accuracies[found.subset] = (predicted == queries.y[asked[found.subset]]).mean()
        unconverged += not found.converged
    return accuracies, unconverged
