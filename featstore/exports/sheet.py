"""Sheet: what an export writes — values in batches, and the columns beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.exchange import document
from featstore.samples import Target
from featstore.store import FeatureStore
from featstore.view import View


@dataclass(frozen=True, eq=False)
class Sheet:
    """Features of some samples, with everything that is known about these.

    Attributes
    ----------
    view
        The values.
    splits
        Shape (n,), unicode; "" for none.
    targets
        Labels of the view's rows.
    store
        Where the features come from.
    """

    view: View
    splits: NDArray[np.str_]
    targets: Mapping[str, Target]
    store: str

    @classmethod
    def of(cls, store: FeatureStore, view: View) -> Sheet:
        """Take the columns of a view's rows from its store."""
        samples = store.samples
        targets = {
            name: Target(target.kind, target.classes, target.codes[view.rows])
            for name, target in samples.targets.items()
        }
        return cls(view, samples.splits[view.rows], targets, store.location)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, dim)."""
        return self.view.shape

    @property
    def ids(self) -> NDArray[np.str_]:
        """Shape (n,)."""
        return self.view.ids

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield all values in order, C-contiguous."""
        for block in self.view.batches():
            yield np.ascontiguousarray(block)

    def column_names(self, *taken: str) -> dict[str, str]:
        """Name a column for each target: its own name, or another where that is taken."""
        return {name: f"target_{name}" if name in taken else name for name in self.targets}

    def document(self, columns: Mapping[str, str]) -> str:
        """Return the JSON that goes with the values; `columns` says where each target is."""
        features = {block.name: block.spec.to_json() for block in self.view.blocks}
        described = document(
            store=self.store, features=features, targets=self.targets, columns=columns
        )
        return json.dumps(described, ensure_ascii=False)
