"""ScaledView: a view whose blocks are brought to a common scale as its rows are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.scaling import BlockScaling
from featstore.view import View


@dataclass(frozen=True, eq=False)
class ScaledView:
    """What a probe that reads its rows in pieces is fitted to; see `featstore.scaling`.

    Attributes
    ----------
    view
        The rows.
    scaling
        Learned on training rows.
    """

    view: View
    scaling: BlockScaling

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return self.view.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The stored precision without scaling, else float32."""
        return self.view.dtype if self.scaling.kind == "none" else np.dtype(np.float32)

    @property
    def ids(self) -> NDArray[np.str_]:
        """Sample ids, shape (n,)."""
        return self.view.ids

    @property
    def max_memory(self) -> int | None:
        """Bytes of values that one call may hold in memory; None for no ceiling."""
        return self.view.max_memory

    def __len__(self) -> int:
        return len(self.view)

    def array(self) -> NDArray[Any]:
        """Return all rows, scaled; see `FeatureView.array`."""
        return self.scaling.apply(self.view)

    def take(self, index: NDArray[Any], *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Gather rows, scaled; see `FeatureView.take`."""
        if self.scaling.kind == "none":
            return self.view.take(index, out=out)
        values = self.scaling.transform(self.view.take(index))
        if out is None:
            return values
        np.copyto(out, values)
        return out

    def batches(self, size: int | None = None) -> Iterator[NDArray[Any]]:
        """Yield all rows, scaled, at most `size` at a time; see `FeatureView.batches`."""
        return map(self.scaling.transform, self.view.batches(size))
