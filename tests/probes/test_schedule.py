"""Schedules against torch's and against the code they are taken from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from featstore.errors import InvalidInputError
from featstore.probes.schedule import factors


def torch_cosine(n, *, every=1):
    """CosineAnnealingLR over n periods, stepped after `every` steps of each."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = CosineAnnealingLR(optimizer, n)
    found = []
    for _ in range(n):
        found += [optimizer.param_groups[0]["lr"]] * every
        optimizer.step()
        schedule.step()
    return found


def test_cosine_is_that_of_torch():
    np.testing.assert_allclose(
        factors("cosine", 900, steps_per_epoch=10), torch_cosine(900), atol=1e-12
    )


def test_cosine_by_epoch_is_that_of_torch():
    np.testing.assert_allclose(
        factors("cosine-epoch", 900, steps_per_epoch=10), torch_cosine(90, every=10), atol=1e-12
    )
    cut = factors("cosine-epoch", 25, steps_per_epoch=10)
    np.testing.assert_allclose(cut, torch_cosine(3, every=10)[:25], atol=1e-12)


def test_warm_up():
    # As in capi's eval_classification.py.
    rise = np.linspace(0.0, 1.0, 1250)
    fall = (np.cos(np.linspace(0, np.pi, 12_500 - 1250)) + 1) / 2
    found = factors("warmup-cosine", 12_500, steps_per_epoch=10, warmup_steps=1250)
    np.testing.assert_allclose(found, np.concatenate([rise, fall]), atol=1e-15)


def test_constant():
    np.testing.assert_array_equal(factors("constant", 3, steps_per_epoch=2), [1, 1, 1])


def test_unknown():
    with pytest.raises(InvalidInputError, match="'constant', got 'step'"):
        factors("step", 3, steps_per_epoch=1)  # type: ignore[arg-type]
