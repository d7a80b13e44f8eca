"""Whether two runs are the same to the last bit."""

from __future__ import annotations

import numpy as np

import featstore as fs


def same_bits(a: fs.ProbeRun, b: fs.ProbeRun) -> bool:
    """Whether two runs are equal to the last bit, time and machine aside."""
    heads = a.head is b.head is None or (
        np.array_equal(a.head.coef, b.head.coef)
        and np.array_equal(a.head.intercept, b.head.intercept)
    )
    return (
        (a.name, a.config, a.request) == (b.name, b.config, b.request)
        and a.certificate == b.certificate
        and np.array_equal(a.predictions.scores, b.predictions.scores)
        and np.array_equal(a.predictions.ids, b.predictions.ids)
        and a.metrics.equals(b.metrics)
        and a.selection.equals(b.selection)
        and bool(heads)
    )
