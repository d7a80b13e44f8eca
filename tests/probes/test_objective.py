"""The objective's pieces against automatic differentiation of a plain statement of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from featstore.probes.lbfgs import line_search
from featstore.probes.loss import Sigmoid, Softmax
from featstore.probes.objective import Objective, dot
from featstore.probes.preconditioner import GramBasis, KroneckerMetric

RIDGE = 0.03


def problem(kind, k, *, n=500, d=7, dtype=torch.float64):
    """An objective, the same in plain torch, and parameters."""
    generator = torch.Generator().manual_seed(k)
    X = torch.randn(n, d, generator=generator, dtype=torch.float64)
    X -= X.mean(dim=0)
    theta = torch.randn(k, d + 1, generator=generator, dtype=torch.float64)
    if kind == "softmax":
        y = torch.cat([torch.arange(k), torch.randint(k, (n - k,), generator=generator)])
        loss = Softmax(y, k)
    else:
        y = torch.rand(n, k, generator=generator) < 0.3
        loss = Sigmoid(y)

    def plain(theta):
        W, b = theta[:, :-1], theta[:, -1]
        Z = X @ W.T + b
        if kind == "softmax":
            value = cross_entropy(Z, y)
        else:
            value = binary_cross_entropy_with_logits(Z, y.double(), reduction="sum") / n
        return value + RIDGE / 2 * W.square().sum()

    return Objective(X.to(dtype), loss, RIDGE, dtype=dtype), plain, theta


CASES = [("softmax", 3), ("softmax", 70), ("sigmoid", 1), ("sigmoid", 5), ("sigmoid", 70)]


@pytest.mark.parametrize(("kind", "k"), CASES)
def test_value_and_gradient(kind, k):
    objective, plain, theta = problem(kind, k)
    U, V = objective.margins(theta, out=objective.new_margins()), objective.new_margins()
    value, gradient = objective.value_and_gradient(theta, U, scratch=V)
    theta.requires_grad_()
    expected = plain(theta)
    assert value == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, theta)[0])
    assert objective.passes == 1


@pytest.mark.parametrize(("kind", "k"), CASES)
def test_derivatives_along_a_line(kind, k):
    objective, plain, theta = problem(kind, k)
    direction = torch.randn_like(theta)
    U = objective.margins(theta, out=objective.new_margins())
    V = objective.margins(direction, out=objective.new_margins())
    step = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(plain(theta + step * direction), step, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, step)
    W, D = theta[:, :-1], direction[:, :-1]
    found = objective.along(U, V, 0.7)
    assert found[0] + RIDGE * dot(W + 0.7 * D, D) == pytest.approx(slope.item(), rel=1e-9)
    assert found[1] + RIDGE * dot(D, D) == pytest.approx(curvature.item(), rel=1e-9)


@pytest.mark.parametrize(("kind", "k"), [("softmax", 3), ("sigmoid", 5)])
def test_metric_is_the_inverse_hessian_where_it_factorises(kind, k):
    # At zero weights all rows share their probabilities: E[H ⊗ xxᵀ] = E[H] ⊗ E[xxᵀ].
    objective, plain, theta = problem(kind, k)
    theta.zero_()
    theta[:, -1] = objective.loss.start()
    U = objective.margins(theta, out=objective.new_margins())
    metric = KroneckerMetric(GramBasis.of(objective.design.numpy()), RIDGE, dtype=torch.float64)
    metric.refresh(objective.class_curvature(U))
    H = torch.autograd.functional.hessian(plain, theta).reshape(theta.numel(), -1)
    direction = torch.randn_like(theta)
    direction[:, -1] = 0
    product = (H @ direction.ravel()).reshape(theta.shape)
    back = metric.from_eigenbasis(metric.apply(metric.to_eigenbasis(product)))
    torch.testing.assert_close(back, direction)


@pytest.mark.parametrize(("kind", "k"), CASES)
def test_start_is_the_best_intercept(kind, k):
    objective, plain, theta = problem(kind, k)
    theta.zero_()
    theta[:, -1] = objective.loss.start()
    theta.requires_grad_()
    (gradient,) = torch.autograd.grad(plain(theta), theta)
    torch.testing.assert_close(gradient[:, -1], torch.zeros(k, dtype=torch.float64))


def test_losses_of_confident_rows_keep_their_digits_in_float32():
    margins = torch.tensor([[0.0, -30.0, -31.0]])
    loss = Softmax(torch.tensor([0]), 3)
    residual = torch.empty_like(margins)
    value = loss.residual(margins, slice(0, 1), out=residual).item()
    expected = np.exp(-30.0) + np.exp(-31.0)
    assert value == pytest.approx(expected, rel=1e-6)
    assert residual[0, 0].item() == pytest.approx(-expected, rel=1e-6)


def test_hopeless_rows_do_not_overflow():
    margins = torch.tensor([[0.0, 1e30, -1e30]])
    residual = torch.empty_like(margins)
    value = Softmax(torch.tensor([0]), 3).residual(margins, slice(0, 1), out=residual)
    assert value.item() == pytest.approx(1e30)
    assert residual.tolist() == [[-1.0, 1.0, 0.0]]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_line_search_finds_the_valley_from_any_length_of_step(scale):
    objective, plain, theta = problem("softmax", 3)
    theta.requires_grad_()
    (gradient,) = torch.autograd.grad(plain(theta), theta)
    theta = theta.detach()
    direction = -scale * gradient
    U = objective.margins(theta, out=objective.new_margins())
    V = objective.margins(direction, out=objective.new_margins())
    slope = dot(gradient, direction)
    step = line_search(objective, theta, direction, U, V, slope)
    moved = (theta + step * direction).requires_grad_()
    (there,) = torch.autograd.grad(plain(moved), moved)
    assert abs(dot(there, direction)) <= 0.3 * abs(slope)
    assert plain(moved) < plain(theta)


@pytest.mark.parametrize(("kind", "k"), [("softmax", 4), ("softmax", 210), ("sigmoid", 3)])
def test_curvature_in_blocks_is_the_curvature(monkeypatch, kind, k):
    objective, _, theta = problem(kind, k)
    U = objective.margins(theta, out=objective.new_margins())
    whole = objective.class_curvature(U)
    monkeypatch.setattr("featstore.probes.objective._CURVATURE_ELEMENTS", 70 * k)  # 8 blocks
    torch.testing.assert_close(objective.class_curvature(U), whole)
