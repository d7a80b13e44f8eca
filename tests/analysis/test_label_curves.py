"""Quantity curves: doublings, levels and crossings against formulas and simulations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from featstore.analysis import crossing, doubling, labels_needed
from featstore.analysis.label_curve import LabelCurve
from featstore.errors import InvalidInputError

SIZES = np.asarray([100, 200, 800, 3200])


def frame(values, sizes=SIZES):
    """Values (s, d) as a frame; NaN leaves a draw out."""
    rows = [
        (n, draw, "top1", value)
        for n, several in zip(sizes, np.asarray(values, float), strict=True)
        for draw, value in enumerate(several)
        if np.isfinite(value)
    ]
    return pd.DataFrame(rows, columns=["n", "draw", "metric", "value"])


def line(intercept, slope, *, d=1, noise=0.0, seed=0, sizes=SIZES):
    """Accuracy that rises by `slope` with every doubling."""
    rng = np.random.default_rng(seed)
    means = intercept + slope * np.log2(np.asarray(sizes) / 100)
    return means[:, None] + noise * rng.standard_normal((len(sizes), d))


def test_a_line_gains_its_slope_with_every_doubling():
    found = doubling(frame(line(0.3, 0.04, d=3)))
    np.testing.assert_allclose(found["gain"], 0.04)
    np.testing.assert_allclose(found[["low", "high"]], 0.04, atol=1e-12)
    assert found[["n_from", "n_to"]].to_numpy().tolist() == [[100, 200], [200, 800], [800, 3200]]


def test_gains_have_paired_t_intervals_and_none_with_one_draw():
    values = line(0.3, 0.04, d=6, noise=0.02)
    found = doubling(frame(values))
    gains = (values[2] - values[1]) / 2
    low, high = stats.t.interval(0.95, 5, loc=gains.mean(), scale=stats.sem(gains))
    np.testing.assert_allclose(found.loc[1, ["low", "high"]].astype(float), [low, high])
    assert doubling(frame(values[:, :1]))[["low", "high"]].isna().all(axis=None)
    # All labels: one draw, the same for each of the others.
    values[3, 1:] = np.nan
    last = doubling(frame(values)).iloc[-1]
    gains = (values[3, 0] - values[2]) / 2
    assert last["gain"] == pytest.approx(gains.mean())
    assert last["high"] - last["low"] == pytest.approx(2 * stats.t.ppf(0.975, 5) * stats.sem(gains))


@settings(deadline=None)
@given(st.lists(st.floats(0.05, 0.95), min_size=4, max_size=4), st.floats(0.01, 0.99))
def test_levels_are_reached_where_numpy_interpolates(values, level):
    found = labels_needed(frame(np.asarray(values)[:, None]), level).n
    if max(values) < level:
        assert found == np.inf
    elif values[0] >= level:
        assert found == SIZES[0]
    else:
        dense = np.union1d(np.geomspace(*SIZES[[0, -1]], 20_001), SIZES)
        curve = np.interp(np.log(dense), np.log(SIZES), values)
        expected = dense[np.argmax(curve >= level)]
        assert found <= expected * 1.000001
        assert expected <= found * (32 ** (1 / 20_000)) * 1.000001


def test_lines_cross_where_algebra_says():
    # 0.3 + 0.05 x = 0.4 + 0.02 x at x = 10 / 3 doublings.
    found = crossing(frame(line(0.4, 0.02)), frame(line(0.3, 0.05)))
    assert found.n == pytest.approx(100 * 2 ** (10 / 3))
    assert (found.crossings, found.gap) == (1, pytest.approx(0.05))
    assert np.isnan([found.low, found.high, found.share]).all()
    assert labels_needed(frame(line(0.3, 0.05)), 0.4).n == pytest.approx(400)


@pytest.mark.parametrize(
    ("gaps", "count", "n"),
    [
        ([1, 1, 1, 1], 0, np.nan),
        ([-1, 1, 1, 1], 1, np.sqrt(100 * 200)),
        ([-1, 0, 1, 1], 1, 200),
        ([0, 0, 1, 1], 0, np.nan),
        ([-1, 1, -1, 1], 3, np.sqrt(800 * 3200)),
        ([0, 0, 0, 0], 0, np.nan),
    ],
)
def test_touching_is_no_crossing_and_the_last_one_counts(gaps, count, n):
    a = np.full((4, 1), 0.5)
    found = crossing(frame(a), frame(a + 0.01 * np.asarray(gaps)[:, None]))
    assert found.crossings == count
    np.testing.assert_allclose(found.n, n)


def test_equal_draws_are_resampled_together():
    shared = line(0.4, 0.02, d=5, noise=0.2)
    tilt = 0.03 * np.log2(SIZES / 100)[:, None] - 0.1
    found = crossing(frame(shared), frame(shared + tilt))
    assert found.low == pytest.approx(found.high) == pytest.approx(found.n)
    assert found.share == 1


def test_intervals_cover_what_they_promise():
    covered, crossed = [], []
    for seed in range(120):
        a = frame(line(0.4, 0.02, d=10, noise=0.02, seed=seed))
        b = frame(line(0.3, 0.06, d=10, noise=0.02, seed=seed + 1000))
        needed = labels_needed(b, 0.45, n_boot=400, seed=seed)
        covered.append(needed.low <= 100 * 2**2.5 <= needed.high)
        both = crossing(a, b, n_boot=400, seed=seed)
        crossed.append(both.low <= 100 * 2**2.5 <= both.high)
    # Percentile intervals of ten draws; 95 % is what many draws come to.
    assert 0.87 <= np.mean(covered) <= 0.99
    assert 0.87 <= np.mean(crossed) <= 0.99


def test_resampled_means_vary_as_means_do():
    values = line(0.4, 0.02, d=4, noise=0.05)
    curve = LabelCurve.of(frame(values), "top1")
    resampled = curve.resampled(n_boot=20_000, seed=0)
    np.testing.assert_allclose(resampled.std(axis=0), stats.sem(values, axis=1), rtol=0.03)


def test_levels_out_of_reach_are_said_by_infinity():
    values = line(0.4, 0.02, d=10, noise=0.02)
    needed = labels_needed(frame(values), float(values[-1].mean()))
    assert (needed.high, 0 < needed.reached < 1) == (np.inf, True)
    never = labels_needed(frame(values), 0.99)
    assert (never.n, never.low, never.reached) == (np.inf, np.inf, 0)


def test_what_cannot_be_compared_is_refused():
    a = frame(line(0.4, 0.02))
    with pytest.raises(InvalidInputError, match="no metric 'mAP'; the frame has: top1"):
        doubling(a, metric="mAP")
    with pytest.raises(InvalidInputError, match="no column 'draw'"):
        labels_needed(a.drop(columns="draw"), 0.5)
    with pytest.raises(InvalidInputError, match="two sizes in common"):
        crossing(a, frame(line(0.4, 0.02), sizes=SIZES + 1))
    with pytest.raises(InvalidInputError, match="the same draws"):
        crossing(a, frame(line(0.4, 0.02, d=2)))
