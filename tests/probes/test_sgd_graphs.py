"""Trainings with resident features: in graphs on CUDA, the same steps without them here."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from featstore.probes import SGDProbe, fit_together, sgd_training
from featstore.probes.sgd_graphs import train_resident

CASES = [
    {},
    {"normalise": True, "columns": slice(8, 40)},
    {"optimizer": "adamw", "weight_decay": 0.01},
    {"weight_decay": 0.01, "decay_bias": False, "drop_last": True},
    {"products": "float16"},
]


def heads(**arguments):
    return [SGDProbe(lr, **arguments) for lr in (0.1, 0.01)]


@pytest.mark.parametrize("arguments", CASES)
@pytest.mark.parametrize("multilabel", [False, True])
def test_resident_steps_are_those_of_the_loop(digits, monkeypatch, arguments, multilabel):
    X, y = digits
    if multilabel:
        y = np.stack([y % 2 == 0, y > 4, y == 7], axis=1)
    arguments = {"steps": 100, "batch_size": 50, **arguments}  # 36 steps an epoch, 5 a graph
    looped = fit_together(heads(**arguments), X, y)

    def resident(stacks, feed, plan):
        return train_resident(stacks, torch.from_numpy(X), plan, graph_steps=5)

    monkeypatch.setattr(sgd_training, "train", resident)
    for one, other in zip(fit_together(heads(**arguments), X, y), looped, strict=True):
        expected = other.decision_function(X)
        tolerance = (5e-3 if "products" in arguments else 1e-4) * np.abs(expected).max()
        np.testing.assert_allclose(one.decision_function(X), expected, atol=tolerance)
        np.testing.assert_allclose(one.curve_.loss, other.curve_.loss, rtol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("arguments", CASES)
def test_graphs_train_as_the_cpu_does(digits, arguments):
    X, y = digits
    arguments = {"steps": 400, "batch_size": 16, **arguments}  # 113 steps an epoch, 50 a graph
    for one, other in zip(
        fit_together(heads(**arguments, device="cuda"), X, y),
        fit_together(heads(**arguments), X, y),
        strict=True,
    ):
        expected = other.decision_function(X)
        tolerance = (2e-2 if "products" in arguments else 1e-3) * np.abs(expected).max()
        np.testing.assert_allclose(one.decision_function(X), expected, atol=tolerance)
        np.testing.assert_allclose(one.curve_.loss, other.curve_.loss, rtol=1e-2)


@pytest.mark.gpu
def test_streamed_batches_train_on_cuda(digits, monkeypatch):
    X, y = digits
    resident = SGDProbe(steps=100, device="cuda").fit(X, y)
    monkeypatch.setattr(sgd_training, "fits", lambda plan, device: False)
    streamed = SGDProbe(steps=100, device="cuda").fit(X, y)
    np.testing.assert_allclose(streamed.coef_, resident.coef_, atol=1e-4)


@pytest.mark.gpu
def test_an_epoch_of_imagenets_size_goes_through():
    # benchmarks/sgd.py says how long the ninety of them take.
    generator = torch.Generator("cuda").manual_seed(0)
    X = torch.empty(1_281_167, 2048, dtype=torch.float16, device="cuda").normal_(
        generator=generator
    )
    y = torch.randint(1000, (len(X),), generator=generator, device="cuda").cpu().numpy()
    X = X.cpu()
    probe = SGDProbe(epochs=1, device="cuda", products="float16").fit(X, y)
    assert probe.coef_.shape == (1000, 2048)
    assert np.isfinite(probe.curve_.loss).all()
