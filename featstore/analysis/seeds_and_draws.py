"""Seeds and draws: how much a score owes to them, and whether features differ by more."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.variance_components import (
    MeanSquares,
    component,
    mean_interval,
    variance_interval,
)
from featstore.displayed import Displayed
from featstore.errors import InvalidInputError

Verdict = Literal["a is better", "b is better", "within the noise"]

_COLUMNS = ("feature", "seed", "draw", "value")


@dataclass(frozen=True, eq=False, repr=False)
class SeedsAndDraws(Displayed):
    """Scores of features over seeds and draws, taken apart.

    Attributes
    ----------
    components
        One row per feature and component: feature, component, sd, low, high (of the standard
        deviation, in the units of the score), levels.  Component ``"seed"``, ``"draw"`` and
        ``"residual"`` (what neither alone explains, their interaction included); where one factor
        has one level, the other holds the residual as well and there is none.
    features
        One row per feature: feature, mean, low, high (over seeds and draws that might have been).
    pairs
        One row per pair: a, b, difference (b - a), low, high (of its mean; the same seed and draw
        are subtracted from each other first), one_low, one_high (where a single new seed and draw
        would put it), verdict.
    scores
        What was taken apart: feature, seed, draw, value.
    n_seeds, n_draws
        Levels of the factors.
    level
        Coverage of the intervals.
    """

    components: pd.DataFrame
    features: pd.DataFrame
    pairs: pd.DataFrame
    scores: pd.DataFrame
    n_seeds: int
    n_draws: int
    level: float

    @property
    def rule(self) -> str:
        """How verdicts are reached, in words."""
        noise = " and ".join(
            name for name, n in (("seeds", self.n_seeds), ("draws", self.n_draws)) if n > 1
        )
        return (
            f"better: the {self.level:.0%} interval of the mean difference over {noise} excludes "
            "0, on these test rows; within the noise: anything else"
        )


def seeds_and_draws(scores: pd.DataFrame, *, level: float = 0.95) -> SeedsAndDraws:
    """Separate the effect of the seed from that of the draw of training rows.

    Each feature's scores are a table of seeds x draws, both random and crossed: score = mean +
    seed + draw + residual.  Components come from mean squares (the method of moments).

    Parameters
    ----------
    scores
        Columns feature, seed, draw, value; every feature with every seed and every draw, once.
    level
        Coverage.

    Raises
    ------
    InvalidInputError
        If a column is missing, a cell is missing or there twice, a value is not finite, or there
        is only one seed and one draw.

    References
    ----------
    Searle, Casella & McCulloch (1992), Variance components, chapter 4; Bouthillier et al. (2021),
    Accounting for variance in machine learning benchmarks, MLSys, for why both belong in.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> seed, draw = rng.normal(0, 0.002, 5), rng.normal(0, 0.01, 4)
    >>> rows = [(name, s, d, mean + seed[s] + draw[d] + rng.normal(0, 0.001))
    ...         for name, mean in (("resnet50", 0.70), ("dinov2", 0.72))
    ...         for s in range(5) for d in range(4)]
    >>> found = seeds_and_draws(pd.DataFrame(rows, columns=["feature", "seed", "draw", "value"]))
    >>> found.pairs[["a", "b", "verdict"]]
              a       b      verdict
    0  resnet50  dinov2  b is better
    """
    tables = _tables(scores)
    first = next(iter(tables.values()))
    n_seeds, n_draws = first.shape
    components, means, pairs = [], [], []
    for name, table in tables.items():
        squares = MeanSquares.of(table)
        components += [{"feature": name, **row} for row in _components(squares, level)]
        low, high, _, _ = mean_interval(squares, level=level)
        means.append({"feature": name, "mean": squares.mean, "low": low, "high": high})
    for a, b in combinations(tables, 2):
        squares = MeanSquares.of(tables[b] - tables[a])
        low, high, one_low, one_high = mean_interval(squares, level=level)
        pairs.append(
            {
                "a": a,
                "b": b,
                "difference": squares.mean,
                "low": low,
                "high": high,
                "one_low": one_low,
                "one_high": one_high,
                "verdict": _verdict(low, high),
            }
        )
    columns = ["a", "b", "difference", "low", "high", "one_low", "one_high", "verdict"]
    return SeedsAndDraws(
        components=pd.DataFrame(components),
        features=pd.DataFrame(means),
        pairs=pd.DataFrame(pairs, columns=columns),
        scores=scores[list(_COLUMNS)].reset_index(drop=True),
        n_seeds=n_seeds,
        n_draws=n_draws,
        level=level,
    )


def _tables(scores: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Values of each feature, shape (seeds, draws)."""
    missing = [name for name in _COLUMNS if name not in scores]
    if missing:
        raise InvalidInputError(f"scores need the columns {', '.join(_COLUMNS)}; no {missing[0]!r}")
    if len(scores) == 0 or not np.isfinite(scores["value"].to_numpy(np.float64)).all():
        raise InvalidInputError(f"{len(scores)} scores: there must be some, all of them finite")
    cells = ["feature", "seed", "draw"]
    if scores.duplicated(cells).any():
        twice = scores.loc[scores.duplicated(cells), cells].iloc[0]
        raise InvalidInputError(
            f"{twice['feature']} has more than one score for seed {twice['seed']} and draw "
            f"{twice['draw']}; give each cell one"
        )
    seeds, draws = scores["seed"].unique(), scores["draw"].unique()
    if len(seeds) == len(draws) == 1:
        raise InvalidInputError(
            "there is one seed and one draw; noise needs at least two of either, e.g. "
            "`featstore probe --seed 1`, or another --subset"
        )
    tables = {}
    for name in scores["feature"].unique():
        of = scores[scores["feature"] == name].pivot(index="seed", columns="draw", values="value")
        table = of.reindex(index=seeds, columns=draws)
        if table.isna().any(axis=None):
            seed, draw = next(
                (s, d) for s in table.index for d in table.columns if np.isnan(table.loc[s, d])
            )
            raise InvalidInputError(
                f"{name} has no score for seed {seed} and draw {draw}, and "
                f"{int(table.isna().to_numpy().sum())} of {table.size} are missing: seed and draw "
                "can be told apart where every seed meets every draw"
            )
        tables[str(name)] = table.to_numpy(np.float64)
    return tables


def _components(squares: MeanSquares, level: float) -> list[dict[str, object]]:
    """Return standard deviations with intervals, as rows of a frame."""
    n, m = squares.n_rows, squares.n_columns
    df_rows, df_columns, df_left = squares.degrees
    if min(n, m) == 1:
        name, variance, df = (
            ("seed", squares.rows, df_rows) if n > 1 else ("draw", squares.columns, df_columns)
        )
        return [_row(name, variance, *variance_interval(variance, df, level=level), levels=df + 1)]
    left = squares.residual
    seed = component(squares.rows, left, degrees=(df_rows, df_left), n=m, level=level)
    draw = component(squares.columns, left, degrees=(df_columns, df_left), n=n, level=level)
    return [
        _row("seed", *seed, levels=n),
        _row("draw", *draw, levels=m),
        _row("residual", left, *variance_interval(left, df_left, level=level), levels=n * m),
    ]


def _row(
    name: str,
    variance: float | NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    *,
    levels: int,
) -> dict[str, object]:
    sd, low_sd, high_sd = (float(np.sqrt(value)) for value in (variance, low, high))
    return {"component": name, "sd": sd, "low": low_sd, "high": high_sd, "levels": levels}


def _verdict(low: float, high: float) -> Verdict:
    if low > 0:
        return "b is better"
    return "a is better" if high < 0 else "within the noise"
