"""DerivedStore: a store with features that are computed as they are read, and never stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.derived_rows import DerivedRows, RowFunction
from featstore.errors import InvalidInputError
from featstore.fused_view import FusedView
from featstore.spec import digest
from featstore.store import FeatureStore
from featstore.view import FeatureView, View


@dataclass(frozen=True, eq=False)
class DerivedFeature:
    """A feature made of others, row by row.

    Attributes
    ----------
    name
        With an ``@`` in it, which no stored feature has.
    sources
        Stored features, side by side in this order.
    dim
        Of its rows.
    function
        From source rows to its rows.
    recipe
        What the function is, in words; part of the feature's digest.
    """

    name: str
    sources: tuple[str, ...]
    dim: int
    function: RowFunction
    recipe: str


class DerivedStore(FeatureStore):
    """What a store holds, and derived features beside it.

    Parameters
    ----------
    store
        Nothing is added to it.
    derived
        By their names.
    """

    def __init__(self, store: FeatureStore, derived: Sequence[DerivedFeature]) -> None:
        super().__init__(store.folder, store.attributes)
        self._derived = {feature.name: feature for feature in derived}

    def view(
        self,
        features: str | Sequence[str],
        *,
        split: str | None = None,
        rows: NDArray[np.intp] | None = None,
        max_memory: int | str | None = None,
    ) -> View:
        """Look at stored and derived features side by side; see `FeatureStore.view`."""
        names = [features] if isinstance(features, str) else list(features)
        if len(set(names)) < len(names):
            raise InvalidInputError(f"name at least one feature, each once; got {names}")
        sources = dict.fromkeys(
            source
            for name in names
            for source in (self._derived[name].sources if name in self._derived else (name,))
        )
        stored = super().view(list(sources), split=split, rows=rows, max_memory=max_memory)
        blocks = {block.name: block for block in stored.blocks}
        shown = [
            self._derived_view(self._derived[name], blocks)
            if name in self._derived
            else blocks[name]
            for name in names
        ]
        return shown[0] if len(shown) == 1 else FusedView(shown)

    def _derived_view(self, feature: DerivedFeature, blocks: dict[str, FeatureView]) -> FeatureView:
        sources = [blocks[name] for name in feature.sources]
        first = sources[0]
        made_of = [block.spec.digest for block in sources]
        backbone = dataclasses.replace(
            first.spec.backbone,
            source=feature.name,
            weights=feature.recipe,
            weights_digest=digest([feature.recipe, made_of]),
            dim=feature.dim,
            n_tokens=None,
        )
        spec = dataclasses.replace(first.spec, backbone=backbone, dtype="float32")

        def open_rows() -> DerivedRows:
            rows = [self.feature(name).rows() for name in feature.sources]
            dims = [block.shape[1] for block in sources]
            return DerivedRows(list(zip(rows, dims, strict=True)), feature.function)

        return FeatureView(
            feature.name,
            spec,
            open_rows,
            self.samples.ids,
            first.rows,
            max_memory=first.max_memory,
        )
