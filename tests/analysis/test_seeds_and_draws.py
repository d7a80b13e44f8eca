"""Components of variance against statsmodels' REML, scipy and simulated truth."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from featstore.analysis import seeds_and_draws
from featstore.analysis.variance_components import MeanSquares, component, mean_interval
from featstore.errors import InvalidInputError

COLUMNS = ["feature", "seed", "draw", "value"]


def scores(*, n=6, m=8, sd=(0.01, 0.02, 0.005), shift=0.0, seed=0):
    """Two features whose scores share nothing but how they were made."""
    rng = np.random.default_rng(seed)
    rows = []
    for name, mean in (("a", 0.7), ("b", 0.7 + shift)):
        table = mean + rng.normal(0, sd[0], (n, 1)) + rng.normal(0, sd[1], (1, m))
        table = table + rng.normal(0, sd[2], (n, m))
        rows += [(name, s, f"draw{d}", table[s, d]) for s in range(n) for d in range(m)]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_components_are_those_of_reml():
    frame = scores()
    found = seeds_and_draws(frame)
    for name, of in frame.groupby("feature"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # statsmodels warns of what it does inside
            fit = sm.MixedLM.from_formula(
                "value ~ 1",
                groups=np.ones(len(of)),
                vc_formula={"draw": "0 + C(draw)", "seed": "0 + C(seed)"},
                data=of.assign(value=of["value"] * 100),
            ).fit(reml=True)
        sd = found.components.set_index(["feature", "component"])["sd"] * 100
        expected = dict(zip(fit.model.exog_vc.names, np.sqrt(fit.vcomp), strict=True))
        assert sd[(name, "seed")] == pytest.approx(expected["seed"], rel=1e-3)
        assert sd[(name, "draw")] == pytest.approx(expected["draw"], rel=1e-3)
        assert sd[(name, "residual")] == pytest.approx(np.sqrt(fit.scale), rel=1e-3)


def test_mean_squares_are_statsmodels():
    frame = scores().query("feature == 'a'")
    fit = sm.OLS.from_formula("value ~ C(seed) + C(draw)", data=frame).fit()
    anova = sm.stats.anova_lm(fit)
    expected = (anova["sum_sq"] / anova["df"]).to_numpy()
    table = frame.pivot(index="seed", columns="draw", values="value").to_numpy()
    squares = MeanSquares.of(table)
    np.testing.assert_allclose((squares.rows, squares.columns, squares.residual), expected)
    assert squares.degrees == tuple(anova["df"].astype(int))


@pytest.mark.parametrize("ratio", [0.0, 0.3, 3.0])
def test_intervals_of_components_cover_the_truth(ratio):
    rng = np.random.default_rng(5)
    n, m, trials = 5, 6, 4000
    df = (n - 1, (n - 1) * (m - 1))
    rows = (1 + m * ratio) * rng.chisquare(df[0], trials) / df[0]
    left = rng.chisquare(df[1], trials) / df[1]
    variance, low, high = component(rows, left, degrees=df, n=m)
    covered = ((low <= ratio) & (ratio <= high)).mean()
    assert 0.935 <= covered <= 0.985
    assert (variance >= 0).all()
    assert ((low <= variance) & (variance <= high)).all()


@pytest.mark.parametrize("sd", [(0.5, 1.0, 0.3), (0.0, 1.0, 1.0), (0.0, 0.0, 1.0)])
def test_intervals_of_the_mean_cover_the_truth(sd):
    """Seeds and draws are shared by all cells: treating cells as independent covers far less."""
    rng = np.random.default_rng(1)
    covered, naive = [], []
    for _ in range(1500):
        table = rng.normal(0, sd[0], (5, 1)) + rng.normal(0, sd[1], (1, 5))
        table = table + rng.normal(0, sd[2], (5, 5))
        low, high, one_low, one_high = mean_interval(MeanSquares.of(table))
        covered.append(low <= 0 <= high)
        half = 1.96 * table.std() / 5
        naive.append(abs(table.mean()) <= half)
        assert one_low <= low <= high <= one_high
    assert np.mean(covered) >= 0.93
    if sd[1] > sd[2]:
        assert np.mean(naive) < 0.75


def test_seeds_alone_give_students_interval():
    values = np.array([0.70, 0.72, 0.69, 0.71])
    frame = pd.DataFrame(
        {"feature": "a", "seed": range(4), "draw": "all of train", "value": values}
    )
    for swap in (False, True):
        named = frame.rename(columns={"seed": "draw", "draw": "seed"}) if swap else frame
        found = seeds_and_draws(named)
        (part,) = found.components.itertuples()
        assert part.component == ("draw" if swap else "seed")
        assert part.sd == pytest.approx(values.std(ddof=1))
        bounds = 3 * values.var(ddof=1) / stats.chi2.ppf([0.975, 0.025], 3)
        assert (part.low, part.high) == pytest.approx(np.sqrt(bounds))
        interval = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
        row = found.features.iloc[0]
        assert (row.low, row.high) == pytest.approx(interval)


def test_what_both_features_share_is_subtracted():
    """A draw that is hard for both does not hide the difference between them."""
    frame = scores(sd=(0, 0.05, 0.0005), shift=0.0)
    a = frame.query("feature == 'a'")
    b = a.assign(feature="b", value=a["value"] + 0.004 + np.tile([1e-4, -1e-4], len(a) // 2))
    found = seeds_and_draws(pd.concat([a, b]))
    assert found.pairs["verdict"].tolist() == ["b is better"]
    assert found.features["high"].iloc[0] > found.features["mean"].iloc[1]


def test_verdicts_follow_the_interval():
    assert seeds_and_draws(scores(shift=0.0)).pairs["verdict"].tolist() == ["within the noise"]
    assert seeds_and_draws(scores(shift=-0.2)).pairs["verdict"].tolist() == ["a is better"]
    wide = seeds_and_draws(scores(shift=0.035, n=8, m=16))
    (pair,) = wide.pairs.itertuples()
    assert pair.verdict == "b is better"
    assert pair.one_low < 0 < pair.low
    assert "seeds and draws" in wide.rule


def test_identical_runs_have_no_noise():
    frame = scores(sd=(0, 0, 0))
    found = seeds_and_draws(frame)
    assert (found.components[["sd", "high"]] < 1e-12).all(axis=None)
    assert found.pairs["verdict"].tolist() == ["within the noise"]


def test_tables_with_holes_are_refused():
    frame = scores()
    cases = [
        (frame.drop(columns="draw"), "no 'draw'"),
        (frame.iloc[1:], "a has no score for seed 0 and draw draw0, and 1 of 48"),
        (pd.concat([frame, frame.iloc[:1]]), "more than one score for seed 0"),
        (frame.query("seed == 0 and draw == 'draw0'"), "one seed and one draw"),
        (frame.assign(value=np.nan), "finite"),
        (frame.iloc[:0], "0 scores"),
        # A seed for each draw: the two cannot be separated.
        (frame[frame["draw"] == "draw" + frame["seed"].astype(str)], "every seed meets every draw"),
    ]
    for broken, message in cases:
        with pytest.raises(InvalidInputError, match=message):
            seeds_and_draws(broken)
    with pytest.raises(InvalidInputError, match="at least two values"):
        MeanSquares.of(np.ones((1, 1)))
