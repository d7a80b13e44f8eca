"""Opening a feed: from memory where the rows fit under the ceiling, else read ahead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np

from featstore.ceiling import parse_bytes
from featstore.probes.design import padded_width
from featstore.probes.inputs import as_tensor, features_of
from featstore.probes.read_ahead import ReadAhead
from featstore.probes.row_feed import MemoryFeed
from featstore.probes.stream import RowStream
from featstore.probes.training_plan import Plan


@contextmanager
def open_feed(
    estimator: Any, stream: RowStream, plan: Plan, *, max_memory: int | str | None
) -> Iterator[MemoryFeed | ReadAhead]:
    """Open the rows of a training.

    Parameters
    ----------
    estimator
        The probe being fitted.
    stream
        Its features.
    plan
        Of the training.
    max_memory
        Of the probe; that of a view counts too.

    Raises
    ------
    MemoryCeilingError
        If the ceiling does not hold two blocks of rows and the design of a batch.
    """
    source = stream.source
    if not isinstance(source, np.ndarray):
        ceilings = [
            parse_bytes(ceiling)
            for ceiling in (max_memory, getattr(source, "max_memory", None))
            if ceiling is not None
        ]
        ceiling = min(ceilings, default=None)
        if ceiling is not None and len(stream) * plan.dim * stream.dtype.itemsize > ceiling:
            ahead = ReadAhead(
                source,
                plan.order,
                n_steps=plan.n_steps,
                max_memory=ceiling,
                reserved=4 * plan.order.batch_size * padded_width(plan.dim, bias=plan.bias),
            )
            with closing(ahead):
                yield ahead
            return
        source = features_of(estimator, source, reset=False)
    yield MemoryFeed(as_tensor(source), plan.order)
