"""Heads that are trained together: as if alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator

from featstore.errors import InvalidInputError
from featstore.probes import SGDGridProbe, SGDProbe, WeightDecayProbe, fit_together

SHORT = {"epochs": 8, "batch_size": 128}
BLOCKS = [slice(0, 32), slice(32, 64), None, [1, 5, 40, 41]]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("labels", ["classes", "indicator"])
def test_learning_rate_by_decay_by_columns(digits, optimizer, labels):
    X, y = digits
    if labels == "indicator":
        y = np.stack([y % 2 == 0, y > 4, y == 7], axis=1)
    grid = list(itertools.product([0.01, 0.1], [0.0, 0.02], BLOCKS))

    def probes():
        return [
            SGDProbe(lr, weight_decay=decay, columns=columns, optimizer=optimizer, **SHORT)
            for lr, decay, columns in grid
        ]

    together = fit_together(probes(), X, y)
    assert [(p.lr, p.weight_decay, p.columns) for p in together] == grid
    for joint, alone in zip(together, probes(), strict=True):
        alone.fit(X, y)
        np.testing.assert_allclose(joint.coef_, alone.coef_, atol=1e-5 * np.abs(alone.coef_).max())
        np.testing.assert_allclose(joint.intercept_, alone.intercept_, atol=1e-5)
        np.testing.assert_allclose(joint.curve_.loss, alone.curve_.loss, rtol=1e-5)
        np.testing.assert_allclose(joint.curve_.accuracy, alone.curve_.accuracy, atol=2e-3)
        np.testing.assert_allclose(joint.curve_.lr, alone.curve_.lr)


def test_features_are_read_once(few_digits):
    X, y = few_digits

    class Counted:
        """A matrix that counts how often it is asked for."""

        def __init__(self):
            self.reads = 0

        def array(self):
            self.reads += 1
            return X

    source = Counted()
    fit_together([SGDProbe(lr, **SHORT) for lr in (0.1, 0.2, 0.4)], source, y)
    assert source.reads == 1


def test_probes_must_share_the_rest(few_digits):
    with pytest.raises(InvalidInputError, match="differ in batch_size: 1024 and 512"):
        fit_together([SGDProbe(), SGDProbe(0.1), SGDProbe(batch_size=512)], *few_digits)
    with pytest.raises(InvalidInputError, match="no probes"):
        fit_together([], *few_digits)


def test_a_head_that_diverges_harms_no_other(few_digits):
    X, y = few_digits
    decays = [0.0, 1e3, 0.01]
    arguments = {"optimizer": "adamw", "epochs": 60}
    good, bad, other = fit_together(
        [SGDProbe(0.1, weight_decay=decay, **arguments) for decay in decays], X, y
    )
    assert (good.diverged_, other.diverged_) == (None, None)
    assert 1 <= bad.diverged_ <= 60
    alone = SGDProbe(0.1, **arguments).fit(X, y)
    np.testing.assert_allclose(good.coef_, alone.coef_, atol=1e-5 * np.abs(alone.coef_).max())

    probe = WeightDecayProbe(0.1, **arguments)
    with pytest.warns(ConvergenceWarning, match=r"lr=0.1 and weight_decay=1000 \(epoch"):
        scores = dict(probe.sweep(X, y, X, decays))
    assert list(scores) == [0.0, 0.01]


def test_sweep_scores_queries_with_every_value(digits):
    X, y = digits
    X, y, queries = X[:1000], y[:1000], X[1000:]
    probe = SGDProbe(**SHORT)
    for lr, proba in probe.sweep(X, y, queries, [0.4, 0.01]):
        alone = SGDProbe(lr, **SHORT).fit(X, y)
        np.testing.assert_allclose(proba, alone.predict_proba(queries), atol=1e-5)
    np.testing.assert_array_equal(probe.classes_, np.arange(10))
    assert not hasattr(probe, "coef_")


def test_grid(digits):
    X, y = digits
    grid = SGDGridProbe(lrs=(0.1, 0.4), weight_decays=(0.0, 0.1), arguments=SHORT, seed=3)
    for head, proba in grid.sweep(X, y, X, [3, 0, 2]):
        grid.set_params(head=int(head)).fit(X, y)
        lr, decay = [(0.1, 0.0), (0.1, 0.1), (0.4, 0.0), (0.4, 0.1)][int(head)]
        alone = SGDProbe(lr, weight_decay=decay, seed=3, **SHORT).fit(X, y)
        np.testing.assert_array_equal(grid.coef_, alone.coef_)
        np.testing.assert_array_equal(grid.predict(X), alone.predict(X))
        np.testing.assert_array_equal(grid.decision_function(X), alone.decision_function(X))
        np.testing.assert_allclose(proba, grid.predict_proba(X), atol=1e-5)
        assert (grid.certificate_.lr, grid.certificate_.weight_decay) == (lr, decay)
    with pytest.raises(InvalidInputError, match=r"head must lie in \[0, 4\), got 4"):
        grid.set_params(head=4).fit(X, y)


@pytest.mark.filterwarnings("ignore")  # checks that do not apply warn that they are skipped
def test_grid_keeps_the_contract_of_scikit_learn():
    outcomes = check_estimator(SGDGridProbe(), on_skip=None, on_fail=None)
    assert {o["check_name"]: o["exception"] for o in outcomes if o["status"] == "failed"} == {}
