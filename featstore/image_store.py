"""The store of a set of images: opened if it is theirs, and begun if there is none."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from featstore.dataset import Dataset
from featstore.errors import InvalidInputError, NotAStoreError
from featstore.fingerprint import Fingerprint, changed_since, fingerprint_of, marked
from featstore.location import open_folder
from featstore.store import FeatureStore


def open_or_create(
    location: str | Path, dataset: Dataset, fingerprint: Fingerprint
) -> FeatureStore:
    """Open the store of these images, or begin one.

    Parameters
    ----------
    location
        Of the store: a path or URL.
    dataset
        The images.
    fingerprint
        See `check_images`.

    Raises
    ------
    InvalidInputError
        If there is a store that was extracted from other images.
    """
    folder = open_folder(location)
    if folder.size("zarr.json") is None and folder.is_free():
        images = marked(dataset, fingerprint)
        # Another process may do the same at this moment; then both go on with one store.
        with suppress(NotAStoreError):
            return FeatureStore.create(location, images.samples, source=images.source)
    store = FeatureStore.open(location)
    try:
        check_images(store, dataset, fingerprint)
    except InvalidInputError:
        if not store.is_empty:
            raise
        # An attempt that failed before it computed anything pins nobody to its samples.
        store.folder.remove()
        images = marked(dataset, fingerprint)
        return FeatureStore.create(location, images.samples, source=images.source)
    return store


def check_images(store: FeatureStore, dataset: Dataset, fingerprint: Fingerprint) -> None:
    """Refuse images that are not those the store was extracted from.

    Parameters
    ----------
    store
        Whose samples, and way to mark them, count.
    dataset
        The images as they are now.
    fingerprint
        ``"size"`` passes over times that have changed.

    Raises
    ------
    InvalidInputError
        If ids, content, labels or splits differ.
    """
    way = fingerprint_of(store.attributes["source"])
    if fingerprint == "content" and way != "content":
        raise InvalidInputError(
            f"{store.location} was extracted without --hash and knows the sizes of its images, not "
            "their content; extract into a new store"
        )
    now = marked(dataset, "content") if way == "content" else dataset
    differences = store.samples.differences(now.samples)
    if differences:
        raise InvalidInputError(
            f"{store.location} was extracted from other samples: {'; '.join(differences)}. Extract "
            "into a new store, or restore the images and labels."
        )
    if way == "time" and fingerprint == "time":
        changed = changed_since(dataset, store.attributes["source"])
        if changed:
            raise InvalidInputError(
                f"{len(changed)} of {len(store.samples)} images were changed after "
                f"{store.location} was begun, e.g. {changed[0]}, though their sizes are the same. "
                "Extract into a new store; or, if these are copies of the same images, go on with "
                "--ignore-times"
            )
