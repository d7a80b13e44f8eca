"""Steps in bfloat16 around exact anchors: how wrong they are, and that solutions are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from featstore.probes.anchored_objective import AnchoredObjective
from featstore.probes.logistic import LogisticProbe
from featstore.probes.loss import Sigmoid, Softmax
from featstore.probes.objective import Objective
from featstore.probes.preconditioner import GramBasis
from featstore.probes.working_memory import WorkingMemory

RIDGE = 0.01


def pair(*, kind="softmax", k=10):
    """The same objective of digits in float64, and in float32 with rounded steps."""
    X, y = load_digits(return_X_y=True)
    X = torch.from_numpy(X - X.mean(axis=0))
    codes = torch.from_numpy(np.r_[np.arange(k), y[k:] * k // 10])
    loss = Softmax(codes, k) if kind == "softmax" else Sigmoid(codes, k)
    rounded = AnchoredObjective(X.float(), X.bfloat16(), loss, RIDGE)
    return Objective(X, loss, RIDGE, dtype=torch.float64), rounded


def solved(X, y, *, rounds, C, tol, **options):
    basis = replace(GramBasis.of(X, dtype="float32"), rounds=rounds)
    return LogisticProbe(C=C, tol=tol, **options).fit(X, y, basis=basis)


@pytest.mark.parametrize(("kind", "k"), [("softmax", 10), ("softmax", 70), ("sigmoid", 10)])
def test_errors_are_relative_to_the_distance_from_the_anchor(kind, k):
    exact, rounded = pair(kind=kind, k=k)
    generator = torch.Generator().manual_seed(0)
    theta = 0.1 * torch.randn(k, 65, generator=generator)
    way = torch.randn(k, 65, generator=generator)
    U, scratch = rounded.margins(theta, out=rounded.new_margins()), rounded.new_margins()
    _, anchored = rounded.anchor(theta, U, scratch=scratch)
    for length in (0.1, 1e-3):
        there = theta + length * way
        V = U + length * rounded.step_margins(way, out=rounded.new_margins())
        value, gradient = rounded.value_and_gradient(there, V, scratch=scratch)
        margins = exact.margins(there.double(), out=exact.new_margins())
        expected_value, expected = exact.value_and_gradient(
            there.double(), margins, scratch=exact.new_margins()
        )
        assert value == pytest.approx(expected_value, rel=0.02 * length)
        error = (gradient.double() - expected).norm()
        change = (expected - anchored.double()).norm()
        assert 1e-5 * change < error < 0.02 * change  # it is rounded, and by no more than that


def test_steps_are_exact_on_request():
    _, rounded = pair()
    plain = Objective(rounded.design, rounded.loss, RIDGE, dtype=torch.float32)
    way = torch.randn(10, 65, generator=torch.Generator().manual_seed(0))
    expected = plain.margins(way, out=plain.new_margins())
    assert not torch.equal(rounded.step_margins(way, out=rounded.new_margins()), expected)
    rounded.step_exactly()
    assert not rounded._residual.numel()  # whose memory is asked for again
    assert torch.equal(rounded.step_margins(way, out=rounded.new_margins()), expected)


@pytest.mark.parametrize(
    ("C", "tol", "scale"),
    [
        (0.01, 1e-6, 1.0),
        (100.0, 1e-4, 1.0),  # all rows are fitted
        (0.01, 1e-3, np.logspace(-2, 1, 64)),  # columns of unlike scale
    ],
)
def test_optimum_and_iterations_are_those_of_float32(C, tol, scale):
    X, y = load_digits(return_X_y=True)
    X = (X * scale).astype(np.float32)
    rounded, plain = (solved(X, y, rounds=rounds, C=C, tol=tol) for rounds in (True, False))
    best = LogisticProbe(C=C, tol=1e-9, dtype="float64", max_iter=10_000).fit(X, y).certificate_
    assert "bfloat16" in rounded.certificate_.solver
    assert "bfloat16" not in plain.certificate_.solver
    assert rounded.certificate_.converged
    assert rounded.certificate_.objective <= best.objective * (1 + tol)
    assert rounded.n_iter_ <= 1.5 * plain.n_iter_
    again = solved(X, y, rounds=True, C=C, tol=tol)
    assert np.array_equal(rounded.coef_, again.coef_)


def test_features_that_bfloat16_cannot_tell_apart():
    """Columns that differ in their last bits only: rounded steps end, exact ones go on."""
    X, y = load_digits(return_X_y=True)
    X = np.hstack([X, X * (1 + 2.0**-12)]).astype(np.float32)
    X[:, 64:] += np.random.default_rng(0).normal(scale=2e-3, size=(len(X), 64))
    probe = solved(X, y, rounds=True, C=1.0, tol=1e-6)
    best = LogisticProbe(C=1.0, tol=1e-9, dtype="float64", max_iter=10_000).fit(X, y).certificate_
    assert probe.certificate_.objective <= best.objective * (1 + 1e-6)


def test_memory_for_the_rounded_copy_is_asked_for():
    shape = (100_000, 512)
    options = {"working_bytes": 4, "stored_bytes": 2}
    assert WorkingMemory.within(None, shape, 10, **options).rounds
    needed = next(
        ceiling
        for ceiling in range(100 << 20, 2 << 30, 1 << 20)
        if not WorkingMemory.within(ceiling, shape, 10, **options).fused
    )
    assert not WorkingMemory.within(needed, shape, 10, **options).rounds
    assert WorkingMemory.within(needed + 2 * 100_000 * 512, shape, 10, **options).rounds
