"""Candidates: rows that may be among the nearest, a bounded number for each query."""

from __future__ import annotations

import torch
from torch import Tensor

_GROUP = 16  # columns


class Candidates:
    """Columns of scores that reach a threshold, in the order in which they come.

    Parameters
    ----------
    n_queries
        Rows of the scores.
    most
        Candidates of a query that are kept.

    Attributes
    ----------
    most
        As given.
    counts
        Candidates of each query, those that were not kept included, shape (q,).
    values
        Their scores, shape (q, most), -inf where there is none.
    columns
        Theirs, shape (q, most).

    Examples
    --------
    >>> candidates = Candidates(1, most=2)
    >>> candidates.add(torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([2.0]), start=0)
    >>> candidates.add(torch.tensor([[5.0, 0.0]]), torch.tensor([2.0]), start=3)
    >>> candidates.columns, candidates.counts
    (tensor([[1, 2]]), tensor([3]))
    """

    def __init__(self, n_queries: int, *, most: int) -> None:
        self.most = most
        self.counts = torch.zeros(n_queries, dtype=torch.int64)
        self.values = torch.full((n_queries, most), -torch.inf)
        self.columns = torch.zeros(n_queries, most, dtype=torch.int64)

    def add(self, scores: Tensor, least: Tensor, *, start: int) -> None:
        """Take scores (q, t) of the columns from `start` on that are at least `least` (q,)."""
        q, t = scores.shape
        group = _GROUP if t % _GROUP == 0 else 1
        width = t // group
        grouped = scores.view(q, group, width)
        query, column = (grouped.amax(dim=1) >= least[:, None]).nonzero().unbind(dim=1)
        # Of the few groups that reach it, the members that do; still in the order of the queries.
        members = grouped[query, :, column]
        place, member = (members >= least[query][:, None]).nonzero().unbind(dim=1)
        query, column = query[place], start + member * width + column[place]
        found = torch.bincount(query, minlength=q)
        first = found.cumsum(0) - found
        slot = self.counts[query] + torch.arange(len(query)) - first[query]
        kept = slot < self.most
        at = query[kept], slot[kept]
        self.values[at] = members[place, member][kept]
        self.columns[at] = column[kept]
        self.counts += found

    def best(self, k: int) -> Tensor:
        """Return the k-th best score of each query, (q,); -inf where there are fewer."""
        return self.values.topk(k, dim=1, sorted=True).values[:, -1]
