"""Stored: whether a store can be opened, and what in it is unfinished or damaged."""

from __future__ import annotations

from collections.abc import Iterator

from featstore.errors import CorruptStoreError, FeatstoreError
from featstore.installation.check import Check
from featstore.store import FeatureStore


def check_store(location: str) -> Iterator[Check]:
    """Open a store and look at each feature's state; `featstore verify` reads its bytes.

    Examples
    --------
    >>> [check.state for check in check_store("nowhere.zarr")]
    ['problem']
    """
    try:
        store = FeatureStore.open(location)
        n_rows = len(store.samples.ids)
    except (FeatstoreError, OSError) as error:
        yield Check("store", location, "problem", str(error), "give the path of a store")
        return
    yield Check(
        "store",
        location,
        "ok",
        f"format {store.attributes['format']}, {n_rows} samples, {len(store.features)} features, "
        f"{len(store.runs)} runs",
    )
    for name in store.features:
        try:
            feature = store.feature(name)
        except CorruptStoreError as error:
            yield Check("store", name, "problem", str(error), f"featstore verify {location}")
            continue
        if feature.sealed:
            yield Check(
                "store", name, "ok", f"{feature.committed_rows} × {feature.spec.backbone.dim}"
            )
        else:
            yield Check(
                "store",
                name,
                "note",
                f"unfinished: {feature.committed_rows} of {n_rows} rows",
                "run the command that began it again: it goes on where it stopped",
            )
