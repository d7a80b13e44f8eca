"""Quarantine: where damaged shards go, out of every reader's way and not lost."""

from __future__ import annotations

from featstore.folder import Folder
from featstore.shards import shard_name

QUARANTINE = "_quarantine"


def set_aside(folder: Folder, shard: int) -> str | None:
    """Move a shard's file into the quarantine of its feature.

    Parameters
    ----------
    folder
        The feature's folder.
    shard
        Index of the shard.

    Returns
    -------
    name
        Where it is now, relative to the feature's folder; None if there was no file.
    """
    source = shard_name(shard)
    if folder.size(source) is None:
        return None
    taken = set(folder.names(QUARANTINE))
    number = next(n for n in range(len(taken) + 1) if f"{shard}.{n}" not in taken)
    name = f"{QUARANTINE}/{shard}.{number}"
    folder.move(source, name)
    return name
