"""Many runs against pairwise comparisons, statsmodels, networkx and explicit bootstraps."""

import dataclasses
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from sklearn import metrics as sk
from statsmodels.stats.multitest import multipletests

from featstore.analysis import align, all_pairs, compare
from featstore.analysis.letters import groups_alike, letters
from featstore.bootstrap import resamples
from featstore.decisions import decided
from featstore.errors import InvalidInputError
from featstore.significance import adjusted, holm


def take(run, rows):
    return dataclasses.replace(
        run, ids=run.ids[rows], truth=run.truth[rows], scores=run.scores[rows]
    )


def spoiled(run, share, seed):
    """The same run with the scores of a share of the rows drawn anew."""
    rng = np.random.default_rng(seed)
    scores = run.scores.copy()
    rows = rng.random(len(run)) < share
    scores[rows] = rng.dirichlet(np.ones(run.n_classes), rows.sum())
    return dataclasses.replace(run, scores=scores)


@pytest.fixture(scope="module")
def runs(sharp, blurred):
    return {
        "blurred": blurred,
        "sharp": sharp,
        "spoiled": spoiled(sharp, 0.4, 0),
        "a little": spoiled(sharp, 0.004, 1),
    }


def test_each_pair_is_what_two_runs_alone_give(runs):
    found = all_pairs(runs, n_boot=200, seed=4)
    assert len(found.pairs) == 6
    order = np.argsort(runs["sharp"].ids)
    weights = np.concatenate(list(resamples(len(order), n_boot=200, seed=4)), axis=1)
    right = {name: (run.predicted == run.truth)[order].astype(float) for name, run in runs.items()}
    for pair in found.pairs.itertuples():
        alone = compare(runs[pair.b], runs[pair.a], n_boot=200, seed=4)
        assert pair.difference == pytest.approx(alone.difference)
        changes = (right[pair.a] - right[pair.b]) @ weights / len(order)
        expected = np.quantile(changes, [0.025, 0.975])
        assert (pair.low, pair.high) == pytest.approx(tuple(expected), abs=1e-12)
        assert (pair.only_a_right, pair.only_b_right) == (alone.only_b_right, alone.only_a_right)
        assert pair.p == pytest.approx(alone.p_exact)
    expected = multipletests(found.pairs["p"], method="holm")
    np.testing.assert_allclose(found.pairs["p_adjusted"], expected[1])
    assert found.pairs["different"].tolist() == expected[0].tolist()
    assert found.runs["value"].is_monotonic_decreasing
    assert found.n == len(runs["sharp"])
    assert "Holm" in found.rule


def test_groups_are_those_of_pairs_not_told_apart(runs):
    found = all_pairs(runs, n_boot=0, adjustment="bh", test="mid-p")
    group = dict(zip(found.runs["run"], found.runs["group"], strict=True))
    for pair in found.pairs.itertuples():
        assert bool(set(group[pair.a]) & set(group[pair.b])) != pair.different
    assert set(group["sharp"]) & set(group["a little"])
    assert not set(group["sharp"]) & set(group["spoiled"])
    assert found.pairs["low"].isna().all()


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_all_maximal_cliques(seed):
    rng = np.random.default_rng(seed)
    n = 12
    different = np.triu(rng.random((n, n)) < 0.4, 1)
    different |= different.T
    groups = groups_alike(different)
    graph = nx.from_numpy_array(~different & ~np.eye(n, dtype=bool))
    assert sorted(groups) == sorted(tuple(sorted(clique)) for clique in nx.find_cliques(graph))
    names = letters(groups, n)
    for i, j in combinations(range(n), 2):
        assert bool(set(names[i]) & set(names[j])) != different[i, j]


def test_letters_go_on_after_z():
    assert letters([(i,) for i in range(28)], 28)[25:] == ["z", "a1", "b1"]


def test_identical_runs_are_alike_and_share_a_rank(sharp):
    found = all_pairs({"a": sharp, "b": sharp, "c": sharp}, n_boot=50)
    assert found.runs["group"].tolist() == ["a"] * 3
    assert found.runs["rank"].tolist() == [2, 2, 2]
    assert (found.pairs[["difference", "low", "high"]] == 0).all(axis=None)
    assert (found.pairs["p"] == 1).all()


def test_one_class_alone_is_no_obstacle(sharp):
    rows = np.flatnonzero(sharp.truth == 3)
    one, other = take(sharp, rows), take(spoiled(sharp, 0.5, 0), rows)
    for metric in ("top1", "mean_per_class"):
        found = all_pairs({"one": one, "other": other}, metric=metric, n_boot=100)
        assert found.runs["value"].tolist() == pytest.approx(
            [(run.predicted == 3).mean() for run in (one, other)]
        )


def test_mean_per_class_is_sklearns_under_resampling(runs):
    found = align(runs, metric="mean_per_class")
    order = np.argsort(runs["sharp"].ids)
    weights = np.concatenate(list(resamples(len(order), n_boot=5, seed=0)), axis=1)
    for values, run in zip(found.statistic()(weights), runs.values(), strict=True):
        expected = [
            sk.balanced_accuracy_score(run.truth[order], run.predicted[order], sample_weight=w)
            for w in weights.T
        ]
        np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_top5_counts_the_five_best(runs, sharp):
    found = all_pairs(runs, metric="top5", n_boot=0).runs.set_index("run")["value"]
    assert found["sharp"] == pytest.approx(
        sk.top_k_accuracy_score(sharp.truth, sharp.scores, k=5, labels=range(10))
    )


def test_many_labels_are_tested_by_bootstrap(tagged):
    rng = np.random.default_rng(1)
    worse = dataclasses.replace(tagged, scores=rng.random(tagged.scores.shape).astype(np.float32))
    found = all_pairs({"worse": worse, "tagged": tagged, "same": tagged}, n_boot=200, seed=3)
    assert found.metric == "mAP"
    assert found.test == "bootstrap"
    assert found.groups == (("tagged", "same"), ("worse",))
    pair = found.pairs.set_index(["a", "b"]).loc[("tagged", "worse")]
    alone = compare(worse, tagged, n_boot=200, seed=3)
    assert (pair.difference, pair.low, pair.high) == pytest.approx(
        (alone.difference, alone.low, alone.high)
    )
    assert np.isnan(pair.only_a_right)
    assert pair.p < 1e-6
    with pytest.raises(InvalidInputError, match="n_boot must be at least 2"):
        all_pairs({"a": tagged, "b": worse}, n_boot=0)


def test_rows_are_paired_by_id(runs):
    rng = np.random.default_rng(0)
    shuffled = {name: take(run, rng.permutation(len(run))) for name, run in runs.items()}
    expected, found = all_pairs(runs, n_boot=20), all_pairs(shuffled.items(), n_boot=20)
    assert found.pairs.equals(expected.pairs)


def test_other_rows_are_refused_and_left_out_only_on_request(sharp, blurred):
    runs = {"sharp": take(sharp, np.arange(500)), "blurred": take(blurred, np.arange(200, 900))}
    with pytest.raises(InvalidInputError, match=r"sharp: 500, blurred: 700; 300 in common.*common"):
        all_pairs(runs)
    found = all_pairs(runs, common=True, n_boot=0)
    assert found.n == 300
    assert found.left_out == {"sharp": 200, "blurred": 400}
    # As many rows, but not the same ones.
    runs = {"sharp": take(sharp, np.arange(500)), "blurred": take(blurred, np.arange(1, 501))}
    with pytest.raises(InvalidInputError, match="499 in common"):
        all_pairs(runs)
    runs = {"sharp": take(sharp, np.arange(9)), "blurred": take(blurred, np.arange(9, 20))}
    with pytest.raises(InvalidInputError, match="no test row in common"):
        all_pairs(runs, common=True)


def test_what_cannot_be_compared_is_refused(sharp, blurred, tagged):
    for runs, message in (
        ({"a": sharp, "b": tagged}, "'b' run is multi-label and the 'a' single-label"),
        ({"a": sharp}, "at least two runs, got 1"),
        ({}, "no runs"),
        ([("a", sharp), ("a", blurred)], "two runs are called 'a'"),
        ({"a": sharp, "b": dataclasses.replace(blurred, classes=sharp.classes[::-1])}, "order"),
        ({"a": sharp, "b": dataclasses.replace(blurred, truth=9 - blurred.truth)}, "'a' and 'b'"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            all_pairs(runs)
    with pytest.raises(InvalidInputError, match="'mAP' cannot be compared"):
        all_pairs({"a": sharp, "b": blurred}, metric="mAP")
    with pytest.raises(InvalidInputError, match="multi-label runs have mAP"):
        all_pairs({"a": tagged, "b": tagged}, metric="top1")
    with pytest.raises(InvalidInputError, match="alpha"):
        all_pairs({"a": sharp, "b": blurred}, alpha=5)


def test_adjustments_are_statsmodels():
    p = np.random.default_rng(0).random(30) ** 4
    for ours, theirs in (("holm", "holm"), ("bh", "fdr_bh")):
        np.testing.assert_allclose(adjusted(p, ours), multipletests(p, method=theirs)[1])
    gap = np.insert(p, 3, np.nan)
    np.testing.assert_allclose(np.delete(holm(gap), 3), holm(p))
    assert np.isnan(holm(gap)[3])
    with pytest.raises(InvalidInputError, match="holm or bh"):
        adjusted(p, "bonferroni")


def test_decisions_are_enough_but_for_top5(runs):
    decisions = {name: decided(run) for name, run in runs.items()}
    expected = all_pairs(runs, n_boot=20)
    assert all_pairs(decisions, n_boot=20).pairs.equals(expected.pairs)
    with pytest.raises(InvalidInputError, match="top5 needs scores"):
        all_pairs(decisions, metric="top5")
