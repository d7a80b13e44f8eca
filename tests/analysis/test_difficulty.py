"""Difficulty: rank correlations against scipy, splits, and recovery of a known correlation."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from featstore.analysis import difficulty
from featstore.decisions import Decisions
from featstore.errors import InvalidInputError
from featstore.half_splits import half_splits
from featstore.rank_correlation import rank_correlation


def run_of(right, truth, c):
    ids = np.array([f"{row:06d}" for row in range(len(truth))])
    names = tuple(f"class {code}" for code in range(c))
    return Decisions(ids, names, truth, np.where(right, truth, (truth + 1) % c), np.ones(c, bool))


def made(rates, *, rows, seed):
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(rates.shape[1]), rows)
    return [run_of(rng.random(len(truth)) < rate[truth], truth, rates.shape[1]) for rate in rates]


def quantities(found):
    return found.correlations.set_index("quantity")["value"]


def test_weighted_ranks_are_those_of_repeated_pairs():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, 50), rng.normal(size=50).round(1)
    weights = rng.integers(0, 4, (50, 7)).astype(np.float32)
    found = rank_correlation(x, y)(weights)[0]
    for value, times in zip(found, weights.T.astype(int), strict=True):
        assert value == pytest.approx(spearmanr(np.repeat(x, times), np.repeat(y, times)).statistic)


def test_what_does_not_vary_or_is_nan_has_no_correlation():
    assert np.isnan(rank_correlation([1, 1, 1], [1, 2, 3])(np.ones((3, 1), np.float32))).all()
    with pytest.raises(InvalidInputError, match="NaN"):
        rank_correlation([1, np.nan], [1, 2])
    with pytest.raises(InvalidInputError, match="as many"):
        rank_correlation([1, 2], [1, 2, 3])


def test_halves_are_halves_of_every_class():
    truth = np.random.default_rng(0).integers(0, 7, 200)
    sizes = np.bincount(truth)
    splits = list(half_splits(truth, n_splits=40, seed=1))
    for first in splits:
        assert (np.abs(2 * np.bincount(truth[first], minlength=7) - sizes) <= 1).all()
    # Every row is as often in the first half as in the second.
    assert np.mean(splits) == pytest.approx(0.5, abs=0.01)
    assert np.std(np.mean(splits, axis=0)) == pytest.approx(0.5 / np.sqrt(40), rel=0.2)


def test_two_probes_of_digits(blurred, sharp):
    found = difficulty(blurred, sharp, n_boot=50)
    accuracy = [
        [(run.predicted[run.truth == c] == c).mean() for c in range(10)] for run in (blurred, sharp)
    ]
    assert quantities(found)["spearman"] == pytest.approx(spearmanr(*accuracy).statistic)
    hardest = found.followed.query("chosen_by == 'a' and end == 'hardest'")
    assert hardest["class"].tolist() == [blurred.classes[int(np.argmin(accuracy[0]))]]
    assert hardest["value_b"].item() == pytest.approx(accuracy[1][int(np.argmin(accuracy[0]))])
    assert (found.n_classes, found.n_common) == (10, len(sharp))


def test_the_correlation_without_noise_is_found():
    # Difficulties with a known rank correlation, seen through ten rows to a class.
    rng = np.random.default_rng(2)
    latent = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 1500).T
    rates = 1 / (1 + np.exp(-latent))
    true = spearmanr(*rates).statistic
    found = difficulty(*made(rates, rows=10, seed=3), n_splits=20, n_boot=100)
    values = quantities(found)
    assert values["spearman"] < true - 0.1
    assert values["without_noise"] == pytest.approx(true, abs=0.05)
    assert values["spearman"] / values["ceiling"] == pytest.approx(true, abs=0.05)
    row = found.correlations.set_index("quantity").loc["without_noise"]
    assert row["low"] < true < row["high"]


def test_the_ceiling_is_what_fresh_rows_reach():
    rates = np.random.default_rng(4).uniform(0.2, 0.9, 2000)
    once, again = made(np.stack([rates, rates]), rows=10, seed=5)
    values = quantities(difficulty(once, again, n_splits=20, n_boot=0))
    assert values["spearman"] == pytest.approx(values["ceiling"], abs=0.03)


def test_choosing_on_the_same_rows_flatters():
    # All classes are equally hard: the extremes are chance, and gone on other rows.
    rates = np.full((2, 400), 0.6)
    ends = difficulty(*made(rates, rows=10, seed=6), n_boot=0).ends
    hardest = ends.query("chosen_by == 'a' and end == 'hardest'").iloc[0]
    assert hardest["n_classes"] == 20
    assert hardest["value_a"] < 0.35
    assert hardest["other_rows_a"] == pytest.approx(0.6, abs=0.05)
    assert hardest["other_rows_b"] == pytest.approx(0.6, abs=0.05)


def test_ties_fall_by_the_seed_not_by_the_order_of_classes():
    rates = np.ones((2, 40))
    runs = made(rates, rows=2, seed=0)
    lists = [
        difficulty(*runs, n_boot=0, seed=seed).followed["class"].tolist() for seed in (0, 0, 1)
    ]
    assert lists[0] == lists[1] != lists[2]
    found = difficulty(*runs, n_boot=0)
    assert (found.ends["tied"] == 40).all()
    assert np.isnan(quantities(found)["spearman"])


def test_a_run_agrees_with_itself(sharp):
    found = difficulty(sharp, sharp, n_boot=0)
    assert quantities(found)["spearman"] == pytest.approx(1)
    assert (found.ends["shared"] >= 0).all()


def test_multi_label_runs_and_labels_without_positives(tagged):
    found = difficulty(tagged, tagged, n_boot=20)
    assert found.metric == "average_precision"
    assert found.n_classes == 4
    assert quantities(found)["spearman"] == pytest.approx(1)


def test_what_cannot_be_compared_is_refused(sharp):
    with pytest.raises(InvalidInputError, match=r"share = 0\.7"):
        difficulty(sharp, sharp, share=0.7)
    one = run_of(np.ones(5, bool), np.zeros(5, int), 3)
    with pytest.raises(InvalidInputError, match="1 class has test rows"):
        difficulty(one, one)
