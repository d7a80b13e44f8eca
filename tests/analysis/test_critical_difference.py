"""Ranks over data sets against scipy, scikit-posthocs and Demšar's published numbers."""

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from scipy import stats

from featstore.analysis import critical_difference, friedman
from featstore.analysis.signed_rank import signed_rank_p
from featstore.errors import InvalidInputError


def table(n=14, k=5, seed=0, ties=True):
    rng = np.random.default_rng(seed)
    values = rng.normal(0.7, 0.02, (n, k)) + np.linspace(0.06, 0, k)
    if ties:
        values = values.round(2)
    names = [f"m{i}" for i in range(k)]
    return pd.DataFrame(values.T, index=names, columns=[f"d{i}" for i in range(n)])


@pytest.mark.parametrize("ties", [False, True])
def test_friedman_is_scipys(ties):
    values = table(ties=ties).to_numpy().T
    found, expected = friedman(values), stats.friedmanchisquare(*values.T)
    assert found.chi2 == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue)
    np.testing.assert_allclose(found.mean_ranks, stats.rankdata(-values, axis=1).mean(axis=0))
    n, k = values.shape
    f = (n - 1) * found.chi2 / (n * (k - 1) - found.chi2)
    assert found.p_f == pytest.approx(stats.f.sf(f, k - 1, (k - 1) * (n - 1)))


def test_friedman_at_its_limits():
    same = friedman(np.tile([0.3, 0.2, 0.1], (4, 1)))
    assert (same.f, same.p_f) == (np.inf, 0)
    ties = friedman(np.ones((4, 3)))
    assert (ties.chi2, ties.p, ties.p_f) == (0, 1, 1)


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_critical_differences_are_those_of_demsars_table(k, q):
    found = critical_difference(table(n=30, k=k), post_hoc="nemenyi")
    assert found.critical_difference == pytest.approx(q * np.sqrt(k * (k + 1) / 180), rel=3e-4)


def test_nemenyi_is_scikit_posthocs():
    values = table()
    found = critical_difference(values, post_hoc="nemenyi")
    expected = scikit_posthocs.posthoc_nemenyi_friedman(values.T.to_numpy())
    for pair in found.pairs.itertuples():
        p = expected.loc[int(pair.a[1:]), int(pair.b[1:])]
        assert pair.p == pytest.approx(p, abs=1e-6)
        assert pair.different == (pair.rank_difference >= found.critical_difference)


@pytest.mark.parametrize(("adjustment", "theirs"), [("holm", "holm"), ("bh", "fdr_bh")])
def test_wilcoxon_is_scikit_posthocs(adjustment, theirs):
    values = table(ties=False)
    found = critical_difference(values, adjustment=adjustment)
    expected = scikit_posthocs.posthoc_wilcoxon(
        values.to_numpy(), zero_method="zsplit", p_adjust=theirs
    )
    for pair in found.pairs.itertuples():
        assert pair.p_adjusted == pytest.approx(
            expected.loc[int(pair.a[1:]) + 1, int(pair.b[1:]) + 1]
        )
    assert np.isnan(found.critical_difference)
    assert found.pairs["rank_difference"].ge(0).all()
    assert f"over {values.shape[1]} data sets" in found.finding


@pytest.mark.parametrize("zeros", [0, 2])
def test_exact_signed_ranks_are_scipys(zeros):
    rng = np.random.default_rng(2)
    for decimals in (1, 8):  # with ties and without
        difference = rng.normal(0.4, 1, 9).round(decimals)
        difference[:zeros] = 0
        if decimals == 8 and not zeros:
            expected = stats.wilcoxon(difference, method="exact").pvalue
        else:
            every = stats.PermutationMethod(n_resamples=np.inf)
            expected = stats.wilcoxon(difference, zero_method="zsplit", method=every).pvalue
        assert signed_rank_p(difference) == pytest.approx(expected)


def test_many_signed_ranks_are_nearly_normal():
    rng = np.random.default_rng(0)
    difference = rng.normal(0.2, 1, 50)
    longer = stats.wilcoxon(difference, method="asymptotic").pvalue
    assert signed_rank_p(difference) == pytest.approx(longer, rel=0.03)
    beyond = np.append(difference, 0.1)
    expected = stats.wilcoxon(beyond, method="asymptotic").pvalue
    assert signed_rank_p(beyond) == pytest.approx(expected)
    tied = beyond.round(1)[beyond.round(1) != 0]
    tied = np.tile(tied, 2)
    expected = stats.wilcoxon(tied, method="asymptotic").pvalue
    assert signed_rank_p(tied) == pytest.approx(expected)


def test_the_verdict_on_two_does_not_depend_on_the_others():
    values = table(ties=False)
    pair = critical_difference(values.iloc[[0, 4]]).pairs.iloc[0]
    among = critical_difference(values).pairs.set_index(["a", "b"]).loc[("m0", "m4")]
    assert pair.p == among.p


def test_identical_methods_are_alike_and_share_a_rank():
    values = table(k=2, ties=False)
    values = pd.concat([values, values.rename(index={"m0": "again", "m1": "more"})])
    found = critical_difference(values)
    ranks = found.ranks.set_index("method")["mean_rank"]
    assert ranks["m0"] == ranks["again"]
    pairs = {frozenset((p.a, p.b)): p for p in found.pairs.itertuples()}
    assert pairs[frozenset(("m0", "again"))].p == 1


def test_too_few_data_sets_are_said_to_find_nothing():
    values = table(n=5, k=3, ties=False)
    values.loc["m0"] += 1
    found = critical_difference(values)
    assert found.least_p == pytest.approx(3 / 16)
    assert not found.pairs["different"].any()
    assert "no pair of 3 methods can be told apart on 5 data sets" in found.finding
    assert found.pairs["p_adjusted"].min() >= found.least_p - 1e-12


def test_gaps_are_named_and_left_out_only_on_request():
    values = table()
    values.loc["m2", "d3"] = np.nan
    with pytest.raises(InvalidInputError, match=r"1 values are missing, e\.g\. that of m2 on d3"):
        critical_difference(values)
    found = critical_difference(values, complete=True)
    assert found.left_out == ("d3",)
    assert found.ranks.equals(critical_difference(values.drop(columns="d3")).ranks)


def test_what_cannot_be_ranked_is_refused():
    with pytest.raises(InvalidInputError, match="two methods on two data sets"):
        critical_difference(table().iloc[:1])
    with pytest.raises(InvalidInputError, match="two methods on two data sets"):
        critical_difference(table().iloc[:, :1])
    with pytest.raises(InvalidInputError, match="name of its own"):
        critical_difference(pd.concat([table(), table()]))
    with pytest.raises(InvalidInputError, match="alpha"):
        critical_difference(table(), alpha=0)
    with pytest.raises(InvalidInputError, match="'wilcoxon' or 'nemenyi'"):
        critical_difference(table(), post_hoc="holm")
    with pytest.raises(InvalidInputError, match="missing"):
        friedman(np.array([[1, np.nan], [1, 2]]))
