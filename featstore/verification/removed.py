"""Removed: whether what looks damaged is just not there any more."""

from __future__ import annotations

from featstore.folder import Folder


def was_removed(folder: Folder) -> bool:
    """Whether a feature, run, subset or taxonomy has been removed since it was listed.

    Removal takes a folder away as a whole; on object storage, its ``zarr.json`` first.
    """
    try:
        if folder.size("zarr.json") is not None:
            return False
        return folder.local is None or not folder.files()
    except OSError:
        return False
