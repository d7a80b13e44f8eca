"""Stores by name, as tables of several call them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from featstore.errors import InvalidInputError
from featstore.store import FeatureStore

Location = FeatureStore | str | Path


def named_stores(
    stores: Location | Sequence[Location] | Mapping[str, Location],
) -> dict[str, FeatureStore]:
    """Open stores and name them by what their locations end in, or as a mapping says.

    Parameters
    ----------
    stores
        One, several, or several by name.  Where two locations end alike, they are the names.

    Raises
    ------
    InvalidInputError
        If there are none, or two have one name.
    """
    if isinstance(stores, Mapping):
        pairs = [(str(name), store) for name, store in stores.items()]
    else:
        if isinstance(stores, str | Path | FeatureStore):
            stores = [stores]
        opened = [s if isinstance(s, FeatureStore) else FeatureStore.open(s) for s in stores]
        stems = [PurePosixPath(store.location.rstrip("/")).stem for store in opened]
        clash = len(set(stems)) < len(stems)
        pairs = [
            (store.location if clash else stem, store)
            for stem, store in zip(stems, opened, strict=True)
        ]
    if not pairs:
        raise InvalidInputError("name at least one store")
    named = {
        name: store if isinstance(store, FeatureStore) else FeatureStore.open(store)
        for name, store in pairs
    }
    if len(named) < len(pairs):
        raise InvalidInputError(f"a store is named twice: {', '.join(name for name, _ in pairs)}")
    return named
