"""Exact logistic regression on CUDA: the optimum of the CPU."""

from __future__ import annotations

import numpy as np
import pytest

from featstore.probes import LogisticProbe
from featstore.probes.path import logistic_path


@pytest.mark.gpu
@pytest.mark.parametrize("n", [40, 1797])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"dtype": "float32"},
        {"class_weight": "balanced"},
        {"multi_class": "ovr"},
        {"max_memory": "20MB"},
    ],
)
@pytest.mark.parametrize("kind", ["classes", "two", "labels"])
def test_cuda_finds_the_optimum(digits, n, arguments, kind):
    X, y = digits[0][:n], digits[1][:n]
    if kind == "two":
        y = y > 4
    elif kind == "labels":
        if "multi_class" in arguments:
            pytest.skip("an indicator is many binary problems anyway")
        y = np.stack([y % 2 == 0, y > 4, y == 7], axis=1)
    cpu, cuda = (
        LogisticProbe(0.1, device=device, **arguments).fit(X, y) for device in ("cpu", "cuda")
    )
    assert cuda.certificate_.converged
    np.testing.assert_allclose(cuda.predict_proba(X), cpu.predict_proba(X), atol=1e-2)
    assert cuda.certificate_.objective == pytest.approx(cpu.certificate_.objective, rel=1e-5)


@pytest.mark.gpu
def test_a_path_on_cuda(digits):
    X, y = digits
    for cpu, cuda in zip(
        logistic_path(X, y, [0.001, 0.1]),
        logistic_path(X, y, [0.001, 0.1], device="cuda"),
        strict=True,
    ):
        assert cuda.certificate_.converged
        np.testing.assert_allclose(cuda.predict_proba(X), cpu.predict_proba(X), atol=1e-2)
