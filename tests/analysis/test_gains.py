"""Gains of classes against binomials, statsmodels and explicit swaps."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests

from featstore.analysis import changed_classes, compare, gains, group_gains
from featstore.class_groups import ClassGroups
from featstore.decisions import Decisions, decided
from featstore.errors import InvalidInputError


def pair(rate_a, rate_b, *, rows, seed=0):
    """Two runs, right at each row with the rate of its class."""
    rng = np.random.default_rng(seed)
    c = len(rate_a)
    truth = np.repeat(np.arange(c), rows)
    ids = np.array([f"{row:06d}" for row in range(len(truth))])
    names = tuple(f"class {code}" for code in range(c))
    runs = []
    for rates in (rate_a, rate_b):
        right = rng.random(len(truth)) < np.asarray(rates)[truth]
        called = np.where(right, truth, (truth + 1) % c)
        runs.append(Decisions(ids, names, truth, called, np.ones(c, bool)))
    return runs


def test_shares_and_curve_of_two_probes(blurred, sharp):
    found = gains(blurred, sharp, n_boot=200)
    comparison = compare(blurred, sharp, n_boot=0)
    expected = comparison.classes.sort_values("gain", ascending=False, kind="stable")
    assert found.curve["class"].tolist() == expected["class"].tolist()
    np.testing.assert_allclose(found.curve["gain"], expected["gain"])
    shares = found.shares.set_index("outcome")
    assert shares.loc["improved", "share"] == comparison.share_improved
    assert shares.loc["harmed", "share"] == comparison.share_harmed
    assert shares["n_classes"].sum() == 10
    assert (found.curve["low"] <= found.curve["high"]).all()
    assert found.curve["null"].is_monotonic_decreasing


def test_the_null_is_the_swap_of_outcomes():
    a, b = pair(np.full(30, 0.5), np.full(30, 0.7), rows=10)
    found = gains(a, b, n_boot=4000)
    only_b, only_a = (
        np.bincount(a.truth[rows], minlength=30)
        for rows in (b.right & ~a.right, a.right & ~b.right)
    )
    d = only_a + only_b
    tie = np.where(d % 2 == 0, stats.binom.pmf(d // 2, d, 0.5), 0)
    for outcome, chance in (("unchanged", tie), ("improved", (1 - tie) / 2)):
        row = found.shares.set_index("outcome").loc[outcome]
        assert row["null"] == pytest.approx(chance.mean(), abs=0.005)
        spread = np.sqrt((chance * (1 - chance)).sum()) / 30
        assert (row["null_high"] - row["null_low"]) / 2 == pytest.approx(1.96 * spread, abs=1 / 30)
    # The best of 30 classes gains a lot even where no class differs.
    assert found.curve["null"].iloc[0] > 0.2


def test_equal_odds_explain_what_no_difference_does_not():
    better, harmed, not_equal = 0, 0, 0
    for seed in range(60):
        a, b = pair(np.full(60, 0.5), np.full(60, 0.7), rows=10, seed=seed)
        none, equal = (
            gains(a, b, null=null, n_boot=199, seed=seed).shares.set_index("outcome")
            for null in ("none", "equal")
        )
        better += none.loc["improved", "p"] <= 0.05
        harmed += equal.loc["harmed", "n_classes"]
        not_equal += equal.loc["harmed", "p"] <= 0.05
    assert better > 50
    # Some classes are harmed, as many as chance harms.
    assert harmed > 60
    assert stats.binomtest(not_equal, 60, 0.05, alternative="greater").pvalue > 0.005


def test_p_keeps_its_promise_without_a_difference():
    rejected = sum(
        gains(*pair(np.full(20, 0.6), np.full(20, 0.6), rows=10, seed=seed), n_boot=199)
        .shares.set_index("outcome")
        .loc["improved", "p"]
        <= 0.05
        for seed in range(100)
    )
    assert stats.binomtest(rejected, 100, 0.05, alternative="greater").pvalue > 0.005


def test_lists_by_gain_and_by_evidence():
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.3, 0.7, 100)
    better = rates.copy()
    better[:5] = 0.99
    rates[:5] = 0.05
    a, b = pair(rates, better, rows=20)
    lists = changed_classes(compare(a, b, n_boot=0), k=20)
    by_gain = lists[(lists["ranking"] == "gain") & (lists["change"] == "improved")]
    by_evidence = lists[(lists["ranking"] == "evidence") & (lists["change"] == "improved")]
    assert len(by_gain) == 20
    assert set(by_evidence["class"]) == {f"class {code}" for code in range(5)}
    assert lists[(lists["ranking"] == "evidence") & (lists["change"] == "harmed")].empty
    p = []
    for code in range(100):
        rows = a.truth == code
        table = [[(x & y)[rows].sum() for y in (b.right, ~b.right)] for x in (a.right, ~a.right)]
        p.append(reference_mcnemar(table, exact=True).pvalue)
    frame = compare(a, b, n_boot=0).classes
    np.testing.assert_allclose(frame["p"], p)
    np.testing.assert_allclose(frame["q"], multipletests(p, method="fdr_bh")[1])


def test_lists_within_some_classes_adjust_for_these(blurred, sharp):
    comparison = compare(blurred, sharp, n_boot=0)
    some = ["one", "two", "eight"]
    lists = changed_classes(comparison, within=some)
    frame = comparison.classes.set_index("class").loc[some]
    expected = dict(zip(some, multipletests(frame["p"], method="fdr_bh")[1], strict=True))
    assert set(lists["class"]) <= set(some)
    for row in lists.itertuples():
        assert row.q == pytest.approx(expected[row[4]])
    with pytest.raises(InvalidInputError, match="k = 0"):
        changed_classes(comparison, k=0)


def test_groups_of_equal_classes_agree_with_mcnemar():
    a, b = pair(np.full(12, 0.5), np.r_[np.full(6, 0.5), np.full(6, 0.65)], rows=30)
    table = pd.DataFrame({"class": a.classes, "kind": ["same"] * 6 + ["better"] * 6})
    groups = ClassGroups.from_frame(table, "kind", a.classes)
    frame = group_gains(a, b, groups, n_boot=200, n_swaps=20_000).set_index("group")
    for kind, rows in (("same", a.truth < 6), ("better", a.truth >= 6)):
        cells = [[(x & y)[rows].sum() for y in (b.right, ~b.right)] for x in (a.right, ~a.right)]
        exact = reference_mcnemar(cells, exact=True).pvalue
        assert frame.loc[kind, "p"] == pytest.approx(exact, abs=4 * np.sqrt(exact / 20_000) + 1e-4)
        assert frame.loc[kind, "gain"] == pytest.approx(b.right[rows].mean() - a.right[rows].mean())
    np.testing.assert_allclose(frame["p_holm"], multipletests(frame["p"], method="holm")[1])
    np.testing.assert_array_equal(frame["improved"] + frame["unchanged"] + frame["harmed"], 6)
    assert frame["share_of_improved"].sum() == pytest.approx(1)
    assert (frame["share_of_classes"] == 0.5).all()


def test_unequal_classes_are_swapped_as_they_are(blurred, sharp, strokes):
    groups = ClassGroups.from_taxonomy(strokes, "shape", blurred.classes)
    frame = group_gains(blurred, sharp, groups, n_boot=0, n_swaps=4000).set_index("group")
    a, b = decided(blurred), decided(sharp)
    rng = np.random.default_rng(9)
    n = np.bincount(a.truth)
    change = b.right.astype(int) - a.right
    for shape in groups.groups:
        rows = np.isin(a.truth, groups.members(shape))
        weights = change[rows] / n[a.truth[rows]]
        swapped = rng.choice([-1, 1], size=(4000, rows.sum())) @ weights
        p = np.mean(np.abs(swapped) >= abs(weights.sum()) - 1e-9)
        assert frame.loc[shape, "p"] == pytest.approx(p, abs=0.03)
        assert frame.loc[shape, "gain"] == pytest.approx(weights.sum() / groups.members(shape).size)


def test_edges(blurred, sharp, tagged):
    without = np.flatnonzero(sharp.truth != 3)
    found = gains(blurred, decided(sharp).take(without), n_boot=0)
    assert "three" not in found.curve["class"].tolist()
    assert found.n_only_a == len(sharp) - len(without)
    assert found.shares["p"].isna().all()
    same = gains(sharp, sharp, n_boot=20)
    assert same.shares["share"].tolist() == same.shares["null"].tolist() == [0, 1, 0]
    assert same.shares["p"].tolist() == [1, 1, 1]
    with pytest.raises(InvalidInputError, match="multi-label"):
        gains(tagged, tagged)
    with pytest.raises(InvalidInputError, match="multi-label"):
        gains(tagged, sharp)


def test_multi_label_groups_and_lists(tagged):
    table = pd.DataFrame({"class": tagged.classes, "kind": ["land", "land", "wet", "land", "wet"]})
    groups = ClassGroups.from_frame(table, "kind", tagged.classes)
    frame = group_gains(tagged, tagged, groups, n_boot=20)
    assert (frame["gain"] == 0).all()
    assert frame["p"].isna().all()
    assert frame["n_classes"].tolist() == [3, 1]
    lists = changed_classes(compare(tagged, tagged, n_boot=0))
    assert lists.empty
