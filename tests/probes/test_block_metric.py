"""BlockMetric against the Hessian of autograd, and when the solver turns to it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from featstore.probes import GramBasis, LogisticProbe
from featstore.probes.block_metric import BlockMetric, CurvedRows
from featstore.probes.block_schedule import iterations_left
from featstore.probes.head import fit_head
from featstore.probes.loss import Sigmoid, Softmax
from featstore.probes.objective import Objective
from featstore.probes.preconditioner import KroneckerMetric
from featstore.probes.working_memory import WorkingMemory

RIDGE, N, D, K = 0.05, 40, 4, 3


def at_a_point(kind):
    """Objective with weighted rows, parameters, and the metric and rows of every block."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D))
    X -= X.mean(axis=0)
    weights = torch.from_numpy(rng.uniform(0.5, 1.5, N))
    weights *= N / weights.sum()
    codes = torch.arange(N) % K
    loss = (Softmax if kind == "softmax" else Sigmoid)(codes, K, weights=weights)
    objective = Objective(torch.from_numpy(X), loss, RIDGE, dtype=torch.float64)
    theta = torch.from_numpy(rng.normal(size=(K, D + 1)))
    U = objective.margins(theta, out=objective.new_margins())
    metric = KroneckerMetric(GramBasis.of(X), RIDGE, dtype=torch.float64)
    metric.refresh(objective.class_curvature(U))
    curvature = objective.column_curvature(U, out=objective.new_margins())
    rows = [CurvedRows(torch.arange(N), column / N, 0.0) for column in curvature.T]
    return objective, theta, metric, rows


def hessian_of_weights(objective, theta):
    """Blocks of all pairs of columns, shape (k, d, k, d)."""
    V = objective.new_margins()

    def gradient(W):
        point = torch.cat([W.reshape(K, D), theta[:, -1:]], dim=1)
        U = objective.margins(point, out=objective.new_margins())
        return objective.value_and_gradient(point, U, scratch=V)[1][:, :-1]

    step, W = 1e-6, theta[:, :-1]
    columns = [
        (gradient(W + step * e) - gradient(W - step * e)) / (2 * step)
        for e in torch.eye(K * D, dtype=torch.float64).reshape(-1, K, D)
    ]
    return torch.stack([column.ravel() for column in columns]).reshape(K, D, K, D)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_applies_the_inverse_of_the_diagonal_blocks(kind):
    objective, theta, metric, rows = at_a_point(kind)
    H = hessian_of_weights(objective, theta)
    g = torch.randn(K, D + 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = metric.from_eigenbasis(
        BlockMetric.of(objective, metric, rows).apply(metric.to_eigenbasis(g))
    )
    W = g[:, :-1]
    if kind == "softmax":
        W = W - W.mean(0)
    expected = torch.stack([torch.linalg.solve(H[j, :, j], W[j]) for j in range(K)])
    if kind == "softmax":
        expected -= expected.mean(0)
    else:  # whose columns have nothing to do with each other
        assert H.permute(0, 2, 1, 3)[~torch.eye(K, dtype=bool)].abs().max() < 1e-8
    torch.testing.assert_close(found[:, :-1], expected, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(found[:, -1], metric.intercept_step(g[:, -1]))


def test_rows_of_little_curvature_count_as_a_multiple_of_the_gram_matrix():
    curvature = torch.tensor([0.2, 1e-4, 0.1, 2e-4, 0.25], dtype=torch.float64)
    rows = CurvedRows.of(curvature)
    assert rows.index.tolist() == [0, 2, 4]
    torch.testing.assert_close(rows.weights * 5, curvature[rows.index])
    assert rows.rest * 5 == pytest.approx(3e-4)
    assert CurvedRows.of(torch.zeros(4)).rest == 0


def test_blocks_that_rounding_made_indefinite_are_not_used():
    objective, _, metric, rows = at_a_point("sigmoid")
    rows[1] = replace(rows[1], rest=-1.0)
    assert BlockMetric.of(objective, metric, rows) is None


def test_near_interpolation_the_solver_needs_fewer_iterations(digits):
    X, y = digits
    probe = LogisticProbe(100.0)
    problem = probe.problem(X, y)
    heads = [
        fit_head(
            replace(problem, memory=replace(problem.memory, blocks=blocks)),
            C=100.0,
            tol=1e-6,
            max_iter=1000,
        )
        for blocks in (True, False)
    ]
    first, second = (head.certificate for head in heads)
    assert first.converged
    assert first.objective == pytest.approx(second.objective, rel=1e-6)
    assert first.n_iter < 0.8 * second.n_iter


def test_iterations_are_foretold_by_the_pace():
    assert iterations_left([1.0] * 8, 10.0) == math.inf
    assert iterations_left([0.5**i for i in range(8)], 0.1) == 0
    assert iterations_left([0.5**i for i in range(8)], math.inf) == math.inf


def test_a_ceiling_may_leave_no_room_for_blocks():
    options = {"working_bytes": 4, "stored_bytes": 2}
    shape, k = (20_000, 1280), 10
    assert WorkingMemory.within(None, shape, k, **options).blocks
    assert WorkingMemory.within(2 * 10**9, shape, k, **options).blocks
    tight = WorkingMemory.within(350_000_000, shape, k, **options)
    assert not tight.blocks
