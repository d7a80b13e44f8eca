"""Ids of samples that have no names: their splits and places."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray


def row_ids(splits: NDArray[Any]) -> NDArray[np.str_]:
    """Return ``split/row``, with rows counted from 0 within each split; shape (n,).

    As `featstore import` does, so that features of the same published order meet.

    Parameters
    ----------
    splits
        Shape (n,); "" for none, which leaves the row alone.

    Examples
    --------
    >>> row_ids(np.array(["train", "test", "train", ""])).tolist()
    ['train/0', 'test/0', 'train/1', '0']
    """
    seen: defaultdict[str, int] = defaultdict(int)
    ids = []
    for split in splits.tolist():
        ids.append(f"{split}/{seen[split]}" if split else str(seen[split]))
        seen[split] += 1
    return np.asarray(ids, str)
