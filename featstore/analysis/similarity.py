"""Similarity: how alike several feature blocks are, by several measures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, get_args

import pandas as pd

from featstore.analysis.block_moments import BlockMoments
from featstore.analysis.cca import pwcca_of_moments, svcca_of_moments
from featstore.analysis.cka import cka_of_moments
from featstore.analysis.linear_map import r2_of_moments
from featstore.analysis.mutual_neighbours import nearest, overlap, sample_rows
from featstore.errors import InvalidInputError
from featstore.suggest import did_you_mean

Measure = Literal["cka", "cka_biased", "mutual_knn", "svcca", "pwcca", "r2"]
MEASURES: tuple[Measure, ...] = ("cka", "mutual_knn", "svcca", "pwcca", "r2")
#: Measures whose value for (a, b) is another than for (b, a).
DIRECTED: frozenset[str] = frozenset({"pwcca", "r2"})


@dataclass(frozen=True)
class SimilaritySettings:
    """What the measures of similarity are asked.

    Attributes
    ----------
    measures
        ``"cka"`` (unbiased) and ``"cka_biased"``, ``"mutual_knn"``, ``"svcca"``, ``"pwcca"``,
        ``"r2"``.
    k, n_rows
        Of the mutual neighbours: how many, among how many rows.
    variance
        Share that SVCCA keeps.
    folds
        Of the linear map.
    seed
        Of the sample and of the folds.

    Raises
    ------
    InvalidInputError
        If there is no such measure.
    """

    measures: Sequence[Measure] = MEASURES
    k: int = 10
    n_rows: int = 2048
    variance: float = 0.99
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        known = get_args(Measure)
        for name in self.measures:
            if name not in known:
                raise InvalidInputError(
                    f"there is no measure {name!r}. {did_you_mean(name, known)}"
                )


def similarity(
    blocks: Mapping[str, Any], settings: SimilaritySettings = SimilaritySettings()
) -> pd.DataFrame:
    """Measure how alike every two of several blocks are.

    Every block is read twice, and once more for every other block; O(k d²) memory for each block.

    Parameters
    ----------
    blocks
        By name: views, arrays or tensors (n, d) on the same rows.
    settings
        Measures, and what they need.

    Returns
    -------
    frame
        One row for each ordered pair of different blocks and each measure: a, b, measure, value.
        Of ``"r2"``, b predicted from a; of ``"pwcca"``, weighted by a; the others are the same
        both ways.

    Raises
    ------
    InvalidInputError
        If there is one block only, the rows do not match, or values are missing or all equal.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(60, 3))
    >>> frame = similarity({"x": X, "part": X[:, :2]}, SimilaritySettings(("r2",)))
    >>> frame.assign(value=frame["value"].round(2)).values.tolist()[0]
    ['x', 'part', 'r2', 1.0]
    """
    if len(blocks) < 2:
        raise InvalidInputError(f"similarity is of two blocks or more, got {list(blocks)}")
    values = {
        (a, b, measure): value
        for measure, a, b, value in (*_by_moments(blocks, settings), *_by_rows(blocks, settings))
    }
    return pd.DataFrame(
        [
            (a, b, measure, values[(a, b, measure)])
            for a in blocks
            for b in blocks
            if a != b
            for measure in settings.measures
        ],
        columns=["a", "b", "measure", "value"],
    )


def _by_moments(
    blocks: Mapping[str, Any], settings: SimilaritySettings
) -> Iterator[tuple[str, str, str, float]]:
    asked = [name for name in settings.measures if name != "mutual_knn"]
    if not asked:
        return
    folds = settings.folds if "r2" in asked else 1
    moments = {
        name: BlockMoments.of(block, folds=folds, seed=settings.seed)
        for name, block in blocks.items()
    }
    for a, b in combinations(blocks, 2):
        cross = moments[a].cross(moments[b])
        for measure in asked:
            value = _measure(measure, moments[a], moments[b], cross, settings)
            yield measure, a, b, value
            if measure in DIRECTED:
                back = cross.transpose(0, 2, 1)
                value = _measure(measure, moments[b], moments[a], back, settings)
            yield measure, b, a, value


def _measure(
    name: Measure, a: BlockMoments, b: BlockMoments, cross: Any, settings: SimilaritySettings
) -> float:
    if name == "svcca":
        return svcca_of_moments(a, b, cross, variance=settings.variance)
    if name == "pwcca":
        return pwcca_of_moments(a, b, cross)
    if name == "r2":
        return r2_of_moments(a, b, cross)
    return cka_of_moments(a, b, cross, unbiased=name == "cka")


def _by_rows(
    blocks: Mapping[str, Any], settings: SimilaritySettings
) -> Iterator[tuple[str, str, str, float]]:
    if "mutual_knn" not in settings.measures:
        return
    sizes = {block.shape[0] for block in blocks.values()}
    if len(sizes) > 1:
        raise InvalidInputError(f"the blocks have different numbers of rows: {sorted(sizes)}")
    rows = sample_rows(sizes.pop(), settings.n_rows, seed=settings.seed)
    near = {name: nearest(block, rows, k=settings.k) for name, block in blocks.items()}
    for a, b in combinations(blocks, 2):
        value = overlap(near[a], near[b])
        yield "mutual_knn", a, b, value
        yield "mutual_knn", b, a, value
