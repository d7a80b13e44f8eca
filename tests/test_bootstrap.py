"""The bootstrap: weights are resamples, however they are blocked."""

import numpy as np
import pytest
from scipy import stats

from featstore import bootstrap as module
from featstore.bootstrap import bootstrap, bootstrap_sums, resamples
from featstore.errors import InvalidInputError


def test_weights_count_the_rows_that_a_generator_of_the_seed_draws():
    rng = np.random.default_rng(3)
    for column in np.concatenate(list(resamples(50, n_boot=7, seed=3)), axis=1).T:
        np.testing.assert_array_equal(column, np.bincount(rng.integers(50, size=50), minlength=50))


def test_draws_do_not_depend_on_the_blocks(monkeypatch):
    whole = np.concatenate(list(resamples(40, n_boot=11, seed=1)), axis=1)
    monkeypatch.setattr(module, "_BLOCK_VALUES", 90)
    blocks = list(resamples(40, n_boot=11, seed=1))
    assert [block.shape[1] for block in blocks] == [2, 2, 2, 2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)


def test_the_interval_of_a_mean_agrees_with_scipys_bootstrap():
    values = np.random.default_rng(0).exponential(size=300).astype(np.float32)
    observed, samples = bootstrap(
        lambda weights: (values @ weights / weights.sum(axis=0))[None], 300, n_boot=4000, seed=0
    )
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(1)
    )
    assert observed[0] == pytest.approx(values.mean())
    # Two independent sets of 4,000 resamples: a few hundredths of the standard error apart.
    error = theirs.standard_error
    assert samples[0].std() == pytest.approx(error, rel=0.1)
    np.testing.assert_allclose(
        np.quantile(samples[0], [0.025, 0.975]), theirs.confidence_interval, atol=0.2 * error
    )


def test_no_resamples_leave_only_the_observed_value():
    observed, samples = bootstrap(lambda weights: weights[:1].astype(float), 3, n_boot=0, seed=0)
    assert observed.tolist() == [1.0]
    assert samples.shape == (1, 0)


def test_sums_of_few_kinds_are_distributed_as_those_of_rows():
    rng = np.random.default_rng(0)
    table = rng.integers(0, 3, (2, 400))
    observed, samples = bootstrap_sums(table, n_boot=4000, seed=1)
    _, by_rows = bootstrap(lambda weights: table @ weights, 400, n_boot=4000, seed=2)
    np.testing.assert_array_equal(observed, table.sum(axis=1))
    np.testing.assert_allclose(np.cov(samples), np.cov(by_rows), atol=0.08 * np.cov(by_rows).max())
    for kinds, rows in zip(samples, by_rows, strict=True):
        assert stats.ks_2samp(kinds, rows).pvalue > 0.001
    assert bootstrap_sums(table, n_boot=0, seed=0)[1].shape == (2, 0)


@pytest.mark.parametrize(("n", "n_boot"), [(0, 10), (5, -1)])
def test_nothing_to_draw_is_refused(n, n_boot):
    with pytest.raises(InvalidInputError, match="resamples"):
        list(resamples(n, n_boot=n_boot, seed=0))
    with pytest.raises(InvalidInputError, match="resamples"):
        bootstrap_sums(np.zeros((2, n)), n_boot=n_boot, seed=0)
