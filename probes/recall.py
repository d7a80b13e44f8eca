"""Recall: how many of the true neighbours an approximate search finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featstore.probes.neighbours import Search, without_self

_QUERIES = 256


@dataclass(frozen=True)
class Recall:
    """Share of the true k nearest that a search finds.

    Attributes
    ----------
    share
        From 0 to 1; 1 for an exact search.
    n_queries
        Training rows that it was measured on; 0 for an exact search.
    """

    share: float = 1.0
    n_queries: int = 0

    @classmethod
    def measure(cls, search: Search, exact: Search, k: int) -> Recall:
        """Compare two searches over the same n rows, k < n.

        Queries are training rows, evenly spread and each without itself: for queries from
        another distribution, the share may be lower.
        """
        n = exact.n_train
        rows = np.linspace(0, n - 1, min(n, _QUERIES)).astype(np.int64)
        queries = exact.rows(rows)
        found, true = (without_self(*one(queries, k + 1), rows)[0] for one in (search, exact))
        shared = sum(len(np.intersect1d(a, b)) for a, b in zip(found, true, strict=True))
        return cls(shared / true.size, len(rows))
