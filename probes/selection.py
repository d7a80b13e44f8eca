"""Selection: the largest scores of each row, equal ones by column."""

from __future__ import annotations

import torch
from torch import Tensor

_GROUPS = (64, 32, 16, 8, 4)  # columns of one


def top_columns(scores: Tensor, k: int, *, above: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the k largest scores of each row, in descending order, equal ones by column.

    Columns are first divided into groups, and only the groups with the largest maxima are looked
    into: k of them hold the k largest scores.

    Parameters
    ----------
    scores
        Shape (q, t).
    k
        At most t.
    above
        Only scores above it count, shape (q,): fewer than k may come back, in any case all that
        are above and among the k largest, and others that are not.

    Returns
    -------
    values, columns
        Shape (q, m), m <= k; m = k without `above`.

    Examples
    --------
    >>> values, columns = top_columns(torch.tensor([[1.0, 3.0, 1.0, 1.0, 2.0]]), 3)
    >>> columns
    tensor([[1, 4, 0]])
    """
    pool, columns = _promising(scores, k + 1, above)
    # One more than wanted, to see whether the last one ties with what is left out.
    depth = min(k + 1, pool.shape[1])
    values, at = pool.topk(depth, dim=1)
    found = at if columns is None else columns.gather(1, at)
    if depth > k:
        cut = values[:, k - 1] == values[:, k]
        if above is not None:
            cut &= values[:, k] > above
        values, found = values[:, :k], found[:, :k]
        if cut.any():
            order = scores[cut].sort(dim=1, descending=True, stable=True)
            values, found = values.clone(), found.clone()
            values[cut], found[cut] = order.values[:, :k], order.indices[:, :k]
    return by_column(values, found)


def by_column(values: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Sort rows by value in descending order, and equal values by column.

    Parameters
    ----------
    values, columns
        Shape (q, m); rows without equal neighbours are taken to be in order.

    Examples
    --------
    >>> by_column(torch.tensor([[2.0, 1.0, 1.0]]), torch.tensor([[7, 5, 3]]))[1]
    tensor([[7, 3, 5]])
    """
    tied = (values[:, 1:] >= values[:, :-1]).any(dim=1)
    if not tied.any():
        return values, columns
    ordered, order = columns[tied].sort(dim=1)
    sorted_values, by_value = (
        values[tied].gather(1, order).sort(dim=1, descending=True, stable=True)
    )
    values, columns = values.clone(), columns.clone()
    values[tied], columns[tied] = sorted_values, ordered.gather(1, by_value)
    return values, columns


def _promising(scores: Tensor, depth: int, above: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Scores that may be among the `depth` largest, and their columns; None for all columns."""
    q, t = scores.shape
    # Of groups of g, t / g maxima and depth g members are looked through: least for g² = t / depth.
    group = next((g for g in _GROUPS if t % g == 0 and depth * g * g <= 2 * t), None)
    if group is None:
        return scores, None
    width = t // group
    # Column j is in group j % width: maxima of whole slices, at the speed of memory.
    maxima = scores.view(q, group, width).amax(dim=1)
    n_groups = depth
    if above is not None:
        n_groups = min(depth, int((maxima > above[:, None]).sum(dim=1).max()))
    groups = maxima.topk(n_groups, dim=1, sorted=False).indices
    offsets = torch.arange(0, t, width, device=scores.device)
    columns = (groups[:, None, :] + offsets[:, None]).flatten(1)
    return scores.gather(1, columns), columns
