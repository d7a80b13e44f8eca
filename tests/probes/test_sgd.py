"""SGDProbe against torch's optimisers on the same batches, over whole trainings."""

from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator
from torch.optim import SGD, Adam, AdamW
from torch_loop import torch_loop

from featstore.errors import InvalidInputError
from featstore.probes import SGDProbe, WeightDecayProbe
from featstore.probes.sample_order import SampleOrder

SHORT = {"epochs": 12, "batch_size": 128}


def normal_start(k, d, *, std=0.01, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.empty(k, d).normal_(0, std, generator=generator), torch.zeros(k)


def linear_start(k, d, *, seed=0):
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    model = torch.nn.Linear(d, k)
    torch.set_rng_state(state)
    return model.weight.detach(), model.bias.detach()


CASES = {
    "paper": (SHORT, partial(SGD, lr=0.4, momentum=0.9, nesterov=True)),
    "plain": ({**SHORT, "momentum": 0.0, "nesterov": False}, partial(SGD, lr=0.4)),
    "momentum and decay": (
        {**SHORT, "nesterov": False, "weight_decay": 0.01},
        partial(SGD, lr=0.4, momentum=0.9, weight_decay=0.01),
    ),
    "nesterov and decay": (
        {**SHORT, "weight_decay": 0.01, "decay_bias": False},
        partial(SGD, lr=0.4, momentum=0.9, nesterov=True, weight_decay=0.01),
    ),
    "adam": (
        {**SHORT, "lr": 0.01, "optimizer": "adam", "weight_decay": 0.01},
        partial(Adam, lr=0.01, weight_decay=0.01),
    ),
    "adamw": (
        {**SHORT, "lr": 0.01, "optimizer": "adamw", "weight_decay": 0.1, "betas": (0.8, 0.95)},
        partial(AdamW, lr=0.01, weight_decay=0.1, betas=(0.8, 0.95)),
    ),
    "adamw on weights alone": (
        {**SHORT, "lr": 0.01, "optimizer": "adamw", "weight_decay": 0.1, "decay_bias": False},
        partial(AdamW, lr=0.01, weight_decay=0.1),
    ),
}


@pytest.mark.parametrize("labels", ["classes", "two classes", "indicator"])
@pytest.mark.parametrize("name", CASES)
def test_trajectory_is_that_of_torch(digits, name, labels):
    X, y = digits
    if labels == "two classes":
        y = y % 2
    if labels == "indicator":
        y = np.stack([y % 2 == 0, y > 4, y == 7], axis=1)
    k = y.shape[1] if y.ndim == 2 else len(np.unique(y))
    arguments, optimizer = CASES[name]
    probe = SGDProbe(**arguments).fit(X, y)
    order = SampleOrder(len(X), batch_size=128, seed=0)
    W, b, losses = torch_loop(
        X,
        y,
        order.batch,
        12 * order.steps_per_epoch,
        optimizer=optimizer,
        start=normal_start(k, 64),
        decay_bias=arguments.get("decay_bias", True),
    )
    if labels == "two classes":
        W, b = W[1:] - W[:1], b[1:] - b[:1]
    scale = np.abs(W).max()
    np.testing.assert_allclose(probe.coef_, W, atol=2e-5 * scale)
    np.testing.assert_allclose(probe.intercept_, b, atol=2e-5 * scale)
    sizes = [len(order.batch(step)) for step in range(order.steps_per_epoch)]
    expected = np.average(np.reshape(losses, (12, -1)), axis=1, weights=sizes)
    np.testing.assert_allclose(probe.curve_.loss, expected, rtol=1e-5)


def test_ninety_epochs_of_the_paper(digits):
    X, y = digits
    probe = SGDProbe().fit(X, y)
    order = SampleOrder(len(X), batch_size=1024, seed=0)
    optimizer = partial(SGD, lr=0.4, momentum=0.9, nesterov=True)
    W, *_ = torch_loop(X, y, order.batch, 180, optimizer=optimizer, start=normal_start(10, 64))
    np.testing.assert_allclose(probe.coef_, W, atol=1e-5 * np.abs(W).max())
    assert probe.n_iter_ == 90
    assert probe.certificate_.epochs == 90
    assert probe.score(X, y) == pytest.approx(probe.curve_.accuracy[-1], abs=0.01)


def test_saturated_rows_have_the_gradient_of_torch(digits):
    X, y = digits  # logits up to thousands: probabilities below the smallest float32
    X = 100 * X
    order = SampleOrder(len(X), batch_size=512, seed=0)
    optimizer = partial(SGD, lr=0.4, momentum=0.9, nesterov=True)
    W, _, losses = torch_loop(X, y, order.batch, 8, optimizer=optimizer, start=normal_start(10, 64))
    probe = SGDProbe(steps=8, batch_size=512).fit(X, y)
    assert max(losses) > 100
    np.testing.assert_allclose(probe.coef_, W, atol=1e-4 * np.abs(W).max())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_stored_precision_is_computed_in_float32(digits, dtype):
    X, y = digits  # sixteenths: exact in float16
    probe = SGDProbe(**SHORT).fit(X.astype(dtype), y)
    np.testing.assert_array_equal(probe.coef_, SGDProbe(**SHORT).fit(X, y).coef_)


def test_start_of_nn_linear(digits):
    X, y = digits
    order = SampleOrder(len(X), batch_size=128, seed=5)
    W, b, _ = torch_loop(
        X, y, order.batch, 30, optimizer=partial(SGD, lr=0.1), start=linear_start(10, 64, seed=5)
    )
    probe = SGDProbe(
        0.1, steps=30, batch_size=128, momentum=0.0, nesterov=False, init="linear", seed=5
    ).fit(X, y)
    np.testing.assert_allclose(probe.coef_, W, atol=1e-6)
    np.testing.assert_allclose(probe.intercept_, b, atol=1e-6)


@pytest.mark.parametrize("drop_last", [False, True])
def test_short_batches_and_cosines_by_epoch(digits, drop_last):
    X, y = digits
    order = SampleOrder(len(X), batch_size=500, seed=0, drop_last=drop_last)
    per_epoch = order.steps_per_epoch
    assert per_epoch == (3 if drop_last else 4)
    W, *_ = torch_loop(
        X,
        y,
        order.batch,
        6 * per_epoch,
        optimizer=partial(SGD, lr=0.4, momentum=0.9, nesterov=True),
        start=normal_start(10, 64),
        step_schedule=lambda step: step % per_epoch == per_epoch - 1,
        n_schedule=6,
    )
    probe = SGDProbe(epochs=6, batch_size=500, schedule="cosine-epoch", drop_last=drop_last)
    np.testing.assert_allclose(probe.fit(X, y).coef_, W, atol=1e-5 * np.abs(W).max())


def test_steps_may_end_within_an_epoch(digits):
    X, y = digits
    probe = SGDProbe(0.1, steps=20, batch_size=128, scale_lr=True).fit(X, y)
    assert probe.n_iter_ == 2  # of 15 steps each
    order = SampleOrder(len(X), batch_size=128, seed=0)
    optimizer = partial(SGD, lr=0.05, momentum=0.9, nesterov=True)
    W, _, losses = torch_loop(
        X, y, order.batch, 20, optimizer=optimizer, start=normal_start(10, 64)
    )
    np.testing.assert_allclose(probe.coef_, W, atol=1e-6)
    assert probe.curve_.loss[1] == pytest.approx(np.mean(losses[15:]), rel=1e-5)
    np.testing.assert_allclose(probe.curve_.lr, [0.05, 0.05 * (1 + np.cos(np.pi * 0.75)) / 2])


def test_normalised_rows(digits):
    X, y = digits
    X = np.r_[X, np.zeros((1, 64))]
    y = np.r_[y, 3]
    norms = np.linalg.norm(X, axis=1, keepdims=True)
    unit = X / np.where(norms > 0, norms, 1)
    probe = SGDProbe(**SHORT, normalise=True).fit(X, y)
    plain = SGDProbe(**SHORT).fit(unit, y)
    np.testing.assert_allclose(probe.decision_function(X), plain.decision_function(unit), atol=1e-4)
    assert not hasattr(probe, "coef_")


def test_columns(digits):
    X, y = digits
    for columns in (slice(16, 48), list(range(16, 48)), np.arange(-48, -16)):
        if isinstance(columns, np.ndarray):
            columns = columns % 64
        probe = SGDProbe(**SHORT, columns=columns).fit(X, y)
        alone = SGDProbe(**SHORT).fit(X[:, 16:48], y)
        np.testing.assert_allclose(probe.coef_[:, 16:48], alone.coef_, atol=1e-6)
        assert not probe.coef_[:, :16].any()
        assert not probe.coef_[:, 48:].any()
    unit = SGDProbe(**SHORT, columns=slice(16, 48), normalise=True).fit(X, y)
    alone = SGDProbe(**SHORT, normalise=True).fit(X[:, 16:48], y)
    np.testing.assert_allclose(
        unit.decision_function(X), alone.decision_function(X[:, 16:48]), atol=1e-5
    )


def test_float16_products_are_near_those_of_float32(digits):
    X, y = digits
    full = SGDProbe(**SHORT).fit(X, y)
    half = SGDProbe(**SHORT, products="float16").fit(X, y)
    difference = np.abs(half.coef_ - full.coef_).max() / np.abs(full.coef_).max()
    assert 1e-6 < difference < 1e-2
    # A first step from zero: the residuals 0.1 and -0.9 are what is rounded.
    rounded = SGDProbe(0.4, steps=1, products="float16", init="zeros").fit(X, y)
    rows = SampleOrder(len(X), batch_size=1024, seed=0).batch(0)
    residuals = (0.1 - np.eye(10)[y[rows]]).astype(np.float16).astype(float)
    gradient = residuals.T @ X[rows] / len(rows)
    np.testing.assert_allclose(rounded.coef_, -0.4 * 1.9 * gradient, rtol=1e-4, atol=1e-7)


def test_same_seed_same_bits_other_seed_other_heads(few_digits):
    one, same, other = (SGDProbe(**SHORT, seed=seed).fit(*few_digits) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.coef_, same.coef_)
    assert np.abs(one.coef_ - other.coef_).max() > 1e-4


def test_pickle_and_clone(few_digits):
    X, y = few_digits
    probe = SGDProbe(**SHORT, normalise=True).fit(X, y)
    again = pickle.loads(pickle.dumps(probe))
    np.testing.assert_array_equal(again.predict_proba(X), probe.predict_proba(X))
    assert clone(probe).get_params() == probe.get_params()


def test_divergence_is_said_with_the_learning_rate(few_digits):
    X, y = few_digits
    probe = SGDProbe(0.1, optimizer="adamw", weight_decay=1e3, epochs=60)
    with pytest.raises(
        InvalidInputError, match=r"diverged .* lr=0.1 and weight_decay=1000 \(epoch"
    ):
        probe.fit(X, y)
    assert probe.n_iter_ < 60  # nothing is left to train


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "lamb"}, "optimizer must be one of 'sgd', 'adam', 'adamw', got 'lamb'"),
        ({"products": "int8"}, "products must be"),
        ({"schedule": "linear"}, "schedule must be one of 'cosine'"),
        ({"schedule": "warmup-cosine", "warmup_steps": 90}, "fewer than the 90 steps"),
        ({"init": "ones"}, "init must be"),
        ({"lr": -1.0}, "lr must be finite and not negative, got -1.0"),
        ({"weight_decay": np.inf}, "weight_decay must be finite"),
        ({"betas": (0.9, 1.0)}, "betas must lie in"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"columns": [64]}, r"columns must lie in \[0, 64\), got 64 to 64"),
        ({"columns": slice(64, 70)}, "none of the 64 columns"),
        ({"columns": [0.5]}, "slice or whole numbers"),
        ({"max_memory": "lots"}, "cannot read 'lots' as a size"),
    ],
)
def test_parameters_out_of_range(few_digits, arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        SGDProbe(**arguments).fit(*few_digits)


@pytest.mark.parametrize(
    "probe",
    [SGDProbe(), WeightDecayProbe(0.01, optimizer="adamw", weight_decay=0.01, normalise=True)],
)
@pytest.mark.filterwarnings("ignore")  # checks that do not apply warn that they are skipped
def test_contract_of_scikit_learn(probe):
    outcomes = check_estimator(probe, on_skip=None, on_fail=None)
    assert {o["check_name"]: o["exception"] for o in outcomes if o["status"] == "failed"} == {}
