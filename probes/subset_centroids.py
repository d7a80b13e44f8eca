"""Class means of many subsets at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featstore.probes.device import DeviceName, device_of, threads_for
from featstore.probes.inputs import as_tensor
from featstore.probes.neighbours import Metric
from featstore.probes.subset_heads import SubsetHeads
from featstore.probes.subset_stacks import shared_origin, subset_stacks


def centroid_subsets(
    X: NDArray[np.floating],
    y: NDArray[Any],
    subsets: Sequence[NDArray[np.intp]],
    *,
    metric: Metric = "euclidean",
    normalise: bool = False,
    centre: bool = False,
    device: DeviceName = "cpu",
) -> Iterator[SubsetHeads]:
    """Take the class means of every subset; the arguments are those of `CentroidProbe`.

    Parameters
    ----------
    X, y
        Features (n, d), finite, and class labels (n,).
    subsets
        Rows of each problem.
    metric, normalise, centre, device
        As for `CentroidProbe`.

    Yields
    ------
    heads
        Of subsets with equally many rows and classes; their scores order the classes as those of
        `CentroidProbe`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> draws = [np.arange(start, start + 50) for start in range(0, 1000, 50)]
    >>> [heads] = centroid_subsets(X, y, draws, normalise=True, centre=True)
    >>> heads.weights.shape
    torch.Size([20, 10, 64])
    """
    where = device_of(device)
    values = as_tensor(X)
    origin = shared_origin(values, subsets).to(where)
    for stack in subset_stacks(y, subsets, dim=X.shape[1]):
        rows = values[torch.from_numpy(stack.rows)].to(where, torch.float64) - origin
        s, n, d = rows.shape
        centres = None
        if normalise or metric == "cosine":
            centres = rows.mean(dim=1) if centre else (-origin).expand(s, d)
            rows = rows - centres[:, None, :]
            lengths = rows.norm(dim=2, keepdim=True)
            rows /= torch.where(lengths > 0, lengths, 1.0)
        members = torch.nn.functional.one_hot(torch.from_numpy(stack.codes)).to(where, rows.dtype)
        with threads_for(2.0 * s * n * d * members.shape[2], where):
            means = members.mT @ rows / members.sum(dim=1)[:, :, None]
        if metric == "cosine":
            lengths = means.norm(dim=2, keepdim=True)
            weights = means / torch.where(lengths > 0, lengths, 1.0)
            offsets = weights.new_zeros(weights.shape[:2])
        else:
            # -distance² up to ‖x‖², which is the same for all classes.
            weights, offsets = 2 * means, -means.square().sum(dim=2)
        yield SubsetHeads(
            stack.subsets,
            float("nan"),
            stack.classes,
            weights,
            offsets,
            origin,
            centres,
            np.ones(s, bool),
        )
