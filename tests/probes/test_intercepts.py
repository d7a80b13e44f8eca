"""Intercepts at fixed weights: their minimum, and how far it is looked for."""

from __future__ import annotations

import pytest
import torch

from featstore.probes.intercepts import newton_shift, settle_intercepts
from featstore.probes.lbfgs import gap_estimate
from featstore.probes.loss import Sigmoid, Softmax
from featstore.probes.objective import Objective
from featstore.probes.preconditioner import GramBasis, KroneckerMetric


def problem(few_digits, kind):
    """Digits, an objective over them, and parameters whose intercepts are far off."""
    X, y = few_digits
    basis, codes = GramBasis.of(X, dtype="float64"), torch.from_numpy(y)
    loss = Softmax(codes, 10) if kind == "softmax" else Sigmoid(codes, 10)
    objective = Objective(basis.design, loss, 0.01, dtype=torch.float64)
    shape = (10, basis.design.shape[1] + 1)
    theta = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theta *= 0.3
    U, V = (objective.new_margins() for _ in range(2))
    return basis, objective, theta, objective.margins(theta, out=U), V


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_the_minimum_is_found_and_margins_come_along(few_digits, kind):
    _, objective, theta, U, V = problem(few_digits, kind)
    weights, passes = theta[:, :-1].clone(), objective.passes
    settle_intercepts(objective, theta, U, scratch=V, settled=lambda value, g: False)
    assert objective.passes == passes
    assert torch.equal(theta[:, :-1], weights)
    assert torch.allclose(U, objective.margins(theta, out=objective.new_margins()), atol=1e-12)
    assert objective.loss_and_residual(U, out=V)[1].norm() < 1e-12


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_no_further_than_asked(few_digits, kind):
    _, objective, theta, U, V = problem(few_digits, kind)
    seen = []

    def settled(value, g):
        plain, gradient = objective.value_and_gradient(theta, U, scratch=V.clone())
        assert value == pytest.approx(plain, rel=1e-14)
        torch.testing.assert_close(g, gradient[:, -1])
        seen.append(g.norm().item())
        return seen[-1] < 0.01

    settle_intercepts(objective, theta, U, scratch=V, settled=settled)
    assert all(norm >= 0.01 for norm in seen[:-1])
    assert 1e-9 < seen[-1] < 0.01
    start = theta.clone()
    settle_intercepts(objective, theta, U, scratch=V, settled=lambda value, g: True)
    assert torch.equal(theta, start)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_unsettled_intercepts_count_in_the_estimate(few_digits, kind):
    basis, objective, theta, U, V = problem(few_digits, kind)
    theta[:, :-1], theta[:, -1] = 0, objective.loss.start()
    least = objective.value_and_gradient(theta, objective.margins(theta, out=U), scratch=V)[0]
    theta[:, -1] += 0.01 * torch.arange(10)
    value, gradient = objective.value_and_gradient(
        theta, objective.margins(theta, out=U), scratch=V
    )
    metric = KroneckerMetric(basis, objective.ridge, dtype=torch.float64)
    metric.refresh(objective.class_curvature(U))
    gradient[:, :-1] = 0
    estimate = gap_estimate(gradient, metric, objective.ridge, value=value)
    assert value - least <= estimate <= 3 * (value - least)


def test_a_newton_shift_solves_for_the_gradient():
    g = torch.tensor([0.3, -0.1, -0.2], dtype=torch.float64)
    A = torch.diag(torch.ones(3, dtype=torch.float64)) - 1 / 3
    torch.testing.assert_close(A @ newton_shift(A, g), -g)
    torch.testing.assert_close(newton_shift(A.diagonal(), g), -1.5 * g)
