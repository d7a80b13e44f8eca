"""Opening of stores that may be too damaged for `FeatureStore.open`."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from featstore.errors import NotAStoreError, StorageError, StoreNotFoundError
from featstore.folder import Folder
from featstore.location import open_folder
from featstore.store import FeatureStore
from featstore.verification.finding import UNREADABLE
from featstore.verification.listed import ListedFolder


def open_damaged(store: FeatureStore | str | Path) -> tuple[FeatureStore, str | None]:
    """Open a store, also one whose ``zarr.json`` is damaged.

    Parameters
    ----------
    store
        A store, or its location.

    Returns
    -------
    store
        The store, as it is on disk now.
    problem
        Why its ``zarr.json`` cannot be read; None if it can.

    Raises
    ------
    StoreNotFoundError, NotAStoreError
        If there is no store, or one of a newer format.
    """
    folder = store.folder if isinstance(store, FeatureStore) else _store_folder(store)
    attributes: dict[str, Any] = {}
    problem = None
    try:
        attributes = dict(json.loads(folder.read("zarr.json"))["attributes"]["featstore"])
    except UNREADABLE as error:
        problem = f"is not what featstore writes ({type(error).__name__}: {error})"
    return FeatureStore(folder, attributes), problem


def _store_folder(location: str | Path) -> Folder:
    folder = open_folder(location)
    try:
        return FeatureStore.open(location).folder
    except (StoreNotFoundError, NotAStoreError, StorageError):
        promised = (ListedFolder.read(folder, "", expected=False).digests or {}).get("zarr.json")
        if promised is None and folder.size("samples/zarr.json") is None:
            raise
        with suppress(OSError):
            found = hashlib.sha256(folder.read("zarr.json")).hexdigest()
            if found == promised:  # not damaged, but of a newer featstore
                raise
    return folder
