"""CurvaturePairs: the inverse Hessian that L-BFGS defines, and its move to another penalty."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from featstore.probes import GramBasis
from featstore.probes.curvature_pairs import CurvaturePairs
from featstore.probes.lbfgs import decrement_safety
from featstore.probes.preconditioner import KroneckerMetric

SHAPE = (2, 5)  # two logits over four features and the intercept


def quadratic(seed=0):
    """A positive definite Hessian, and a metric that knows little of it."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(10, 10))
    metric = KroneckerMetric(GramBasis.of(rng.normal(size=(30, 4))), 0.1, dtype=torch.float64)
    metric.refresh(torch.tensor([0.2, 0.3], dtype=torch.float64))
    return torch.from_numpy(root @ root.T + np.eye(10)), metric


def fill(H, memory=20, n=6):
    pairs, generator = CurvaturePairs(memory), torch.Generator().manual_seed(1)
    for _ in range(n):
        s = torch.randn(SHAPE, dtype=torch.float64, generator=generator)
        pairs.append(s, (H @ s.ravel()).reshape(SHAPE))
    return pairs, s


def test_the_last_pair_is_reproduced():
    H, metric = quadratic()
    pairs, s = fill(H)
    y = (H @ s.ravel()).reshape(SHAPE)
    torch.testing.assert_close(pairs.direction(y, metric), -s)


def test_direction_is_the_bfgs_update_written_out():
    H, metric = quadratic()
    pairs, _ = fill(H, n=3)
    y = pairs._pairs[-1][1]
    scale = pairs._pairs[-1][2] / (y * metric.apply(y)).sum()
    columns = [metric.apply(e.reshape(SHAPE)).ravel() for e in torch.eye(10, dtype=torch.float64)]
    inverse = scale * torch.stack(columns, dim=1)
    for s, y, _ in pairs._pairs:
        s, y = s.ravel(), y.ravel()
        V = torch.eye(10, dtype=torch.float64) - torch.outer(y, s) / (s @ y)
        inverse = V.T @ inverse @ V + torch.outer(s, s) / (s @ y)
    g = torch.randn(SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = -(inverse @ g.ravel()).reshape(SHAPE)
    torch.testing.assert_close(pairs.direction(g, metric), expected)


def test_pairs_at_another_ridge_are_those_of_the_hessian_there():
    H, metric = quadratic()
    weights = torch.ones(SHAPE, dtype=torch.float64)
    weights[:, -1] = 0  # the intercept is not penalised
    moved = fill(H)[0].at_ridge(-0.3, dtype=torch.float64)
    there, _ = fill(H - 0.3 * torch.diag(weights.ravel()))
    g = torch.randn(SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(moved.direction(g, metric), there.direction(g, metric))


def test_steps_without_curvature_are_left_out():
    pairs, s = CurvaturePairs(3), torch.ones(SHAPE)
    pairs.append(s, -s)
    pairs.append(s, 0 * s)
    assert len(pairs) == 0


@pytest.mark.parametrize(("n", "k", "memory"), [(60_000, 10, 50), (1000, 50, 20), (50, 500, 10)])
def test_memory_stays_small_next_to_the_features(n, k, memory):
    pairs, step = CurvaturePairs.sized_for(n, k), torch.ones(SHAPE)
    for _ in range(60):
        pairs.append(step, step)
    assert len(pairs) == memory


def test_safety_grows_with_what_the_decrement_missed():
    assert decrement_safety([(1.0, 0.5)]) == 10
    assert decrement_safety([(2.0, 0.5), (1.5, 0.4), (1.2, 0.2)]) == 10
    assert decrement_safety([(2.0, 0.5), (1.5, 0.4), (1.2, 0.2)], least=1) == pytest.approx(1.5)
    assert decrement_safety([(9.0, 1e-9), (2.0, 0.02), (1.2, 0.01)]) == pytest.approx(80)
