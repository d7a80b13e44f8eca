"""Trained coarse: whether training at a coarse level beats coarsening fine answers."""

from __future__ import annotations

import dataclasses

import numpy as np

from featstore.analysis.coarsening import coarsen
from featstore.analysis.compare import Comparison, compare
from featstore.analysis.level_hits import Rule
from featstore.ancestors import named
from featstore.errors import InvalidInputError
from featstore.predictions import Predictions
from featstore.taxonomy import Taxonomy


def trained_coarse(
    fine: Predictions,
    coarse: Predictions,
    taxonomy: Taxonomy,
    level: str,
    *,
    rule: Rule = "argmax",
    of: str | None = None,
    n_boot: int = 1000,
    seed: int = 0,
    coverage: float = 0.95,
) -> Comparison:
    """Compare a run trained on coarse labels to a coarsened run trained on fine ones.

    Parameters
    ----------
    fine
        Single-label run, trained on fine labels; coarsened, it is run a of the comparison.
    coarse
        Run trained on the labels of `level`, on the same test rows; run b.
    taxonomy, level, rule, of
        See `featstore.analysis.coarsening.coarsen`.
    n_boot, seed, coverage
        Paired percentile bootstrap over the common rows.

    Raises
    ------
    InvalidInputError
        If the coarse run lacks classes of the level, the runs disagree on the coarse label of a
        row, no row is common, or as `featstore.analysis.coarsening.coarsen`.
    FeatureNotFoundError
        If the taxonomy has no such level.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"item": ["hat", "shirt", "pants"],
    ...                       "part": ["head", "body", "body"]})
    >>> ids = np.array(["a", "b"])
    >>> fine = Predictions(ids, ("hat", "shirt", "pants"), np.array([1, 2]),
    ...                    np.eye(3, dtype=np.float32)[[2, 0]], np.ones(3, bool))
    >>> coarse = Predictions(ids, ("body", "head"), np.array([0, 0]),
    ...                      np.eye(2, dtype=np.float32)[[0, 0]], np.ones(2, bool))
    >>> print(trained_coarse(fine, coarse, Taxonomy.from_frame(frame), "part").difference)
    0.5
    """
    coarsened = coarsen(fine, taxonomy, level, rule=rule, of=of)
    return compare(
        _ordered(coarsened, coarse.classes, level),
        coarse,
        n_boot=n_boot,
        seed=seed,
        level=coverage,
    )


def _ordered(run: Predictions, classes: tuple[str, ...], level: str) -> Predictions:
    """Give the classes of a run the codes of another run, which may have more of them."""
    code_of = {name: code for code, name in enumerate(classes)}
    if missing := [name for name in run.classes if name not in code_of]:
        raise InvalidInputError(
            f"the coarse run lacks {len(missing)} of {len(run.classes)} classes of level "
            f"{level!r}: {named(missing)}; was it trained on the labels of this level?"
        )
    codes = np.array([code_of[name] for name in run.classes])
    scores = np.zeros((len(run), len(classes)), np.float32)
    scores[:, codes] = run.scores
    seen = np.zeros(len(classes), bool)
    seen[codes] = run.seen
    return dataclasses.replace(
        run, classes=classes, truth=codes[run.truth], scores=scores, seen=seen
    )
