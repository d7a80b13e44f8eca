"""The pieces of the SVM's solver against automatic differentiation and dense linear algebra."""

from __future__ import annotations

import pytest
import torch

from featstore.probes.active_rows import exact_direction
from featstore.probes.hinge_direction import newton_direction
from featstore.probes.inputs import Targets
from featstore.probes.one_vs_rest import OneVsRest
from featstore.probes.preconditioner import GramBasis
from featstore.probes.squared_hinge import SquaredHinge

CPU = torch.device("cpu")


@pytest.fixture(params=[True, False], ids=["free", "penalised"])
def problem(request):
    """Three weighted problems, the same in plain torch, and parameters."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(300, 7, generator=generator, dtype=torch.float64)
    X -= X.mean(dim=0)
    codes = torch.randint(3, (300,), generator=generator)
    weights = torch.rand(300, generator=generator, dtype=torch.float64)
    problems = OneVsRest.of(
        Targets.of(codes.numpy(), n_samples=300),
        sample_weight=weights.numpy(),
        positive_weight=2.0,
        device=CPU,
    )
    ridge = torch.tensor([0.1, 0.01, 1.0], dtype=torch.float64)
    objective = SquaredHinge(X, problems, ridge, free_intercept=request.param)
    theta = torch.randn(3, 8, generator=generator, dtype=torch.float64)
    if not request.param:
        theta[:, -1] = 0

    def plain(theta):
        W, b = theta[:, :-1], theta[:, -1:]
        sign = torch.where(codes == torch.arange(3)[:, None], 1.0, -1.0)
        c = weights * torch.where(sign > 0, 2.0, 1.0)
        hinge = (1 - sign * (W @ X.T + b)).clamp_min(0)
        return (c * hinge.square()).mean(1) + ridge / 2 * W.square().sum(1)

    return objective, plain, theta


def test_values_and_derivatives(problem):
    objective, plain, theta = problem
    found = objective.evaluate(theta, objective.shortfalls(theta))
    theta.requires_grad_()
    expected = plain(theta)
    (gradient,) = torch.autograd.grad(expected.sum(), theta)
    if not objective.free_intercept:
        gradient[:, -1] = 0
    torch.testing.assert_close(found.values, expected.detach())
    torch.testing.assert_close(found.gradient, gradient)
    assert objective.passes == 1


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_minimum_along_a_line(problem, scale):
    objective, plain, theta = problem
    E = objective.shortfalls(theta)
    direction = -scale * objective.evaluate(theta, E).gradient
    step = objective.line_minimum(theta, direction, E, objective.slopes(direction))
    moved = (theta + step[:, None] * direction).requires_grad_()
    (there,) = torch.autograd.grad(plain(moved).sum(), moved)
    slopes = (there * direction).sum(1)
    assert (slopes.abs() <= 1e-9 * direction.square().sum(1) / scale).all()


def test_intercepts_settle(problem):
    objective, plain, theta = problem
    if not objective.free_intercept:
        return
    E = objective.shortfalls(theta)
    objective.settle_intercepts(theta, E)
    torch.testing.assert_close(E, objective.shortfalls(theta))
    theta.requires_grad_()
    (gradient,) = torch.autograd.grad(plain(theta).sum(), theta)
    torch.testing.assert_close(gradient[:, -1], torch.zeros(3, dtype=torch.float64))


@pytest.mark.parametrize("exact_passes", [0.0, 1e9], ids=["conjugate gradients", "exact"])
def test_newton_directions_solve_newtons_equations(problem, exact_passes, monkeypatch):
    monkeypatch.setattr("featstore.probes.hinge_direction._EXACT_PASSES", exact_passes)
    objective, _, theta = problem
    found = objective.evaluate(theta, objective.shortfalls(theta))
    basis = GramBasis.of(objective.design.numpy(), centre=objective.free_intercept)
    accuracy = torch.full((3,), 1e-12, dtype=torch.float64)
    direction, passes = newton_direction(objective, found, basis, accuracy)
    assert passes > 0
    A = torch.cat([objective.design, torch.ones(300, 1, dtype=torch.float64)], dim=1)
    for j in range(3):
        H = A.T @ (found.curvature[j][:, None] * A)
        H[range(7), range(7)] += objective.ridge[j]
        size = 8 if objective.free_intercept else 7
        expected = torch.linalg.solve(H[:size, :size], -found.gradient[j, :size])
        torch.testing.assert_close(direction[j, :size], expected, rtol=1e-7, atol=1e-9)
    if not objective.free_intercept:
        assert not direction[:, -1].any()


@pytest.mark.parametrize("m", [1, 5, 20, 60])
@pytest.mark.parametrize("free", [True, False])
def test_an_exact_direction_by_rows_or_by_columns(m, free):
    generator = torch.Generator().manual_seed(m)
    rows = torch.randn(m, 20, generator=generator, dtype=torch.float64)
    curvature = torch.rand(m, generator=generator, dtype=torch.float64) + 0.1
    gradient = torch.randn(21, generator=generator, dtype=torch.float64)
    found = exact_direction(rows, curvature, gradient, 0.03, free_intercept=free)
    A = torch.cat([rows, torch.ones(m, 1, dtype=torch.float64)], dim=1)
    H = A.T @ (curvature[:, None] * A)
    H[range(20), range(20)] += 0.03
    size = 21 if free else 20
    torch.testing.assert_close(found[:size], torch.linalg.solve(H[:size, :size], -gradient[:size]))
    assert free or found[-1] == 0
