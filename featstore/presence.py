"""Presence: whether every shard of a feature is there, with its size and its index."""

from __future__ import annotations

from featstore.errors import CorruptStoreError
from featstore.folder import Folder
from featstore.shards import ShardLayout, shard_name


def check_shards(folder: Folder, layout: ShardLayout) -> None:
    """Look at size and index of every shard; on object storage, only at the sizes.

    Raises
    ------
    CorruptStoreError
        For the first shard that is missing, of another size, or has a damaged index.
    """
    for shard in range(layout.n_shards):
        problem = shard_problem(folder, layout, shard)
        if problem:
            raise CorruptStoreError(
                f"{folder}/{shard_name(shard)} {problem}; `featstore verify --repair` sets it "
                "aside, and extracting again replaces it"
            )


def shard_problem(folder: Folder, layout: ShardLayout, shard: int) -> str | None:
    """Say what is wrong with a shard's size or index; None if nothing is."""
    name, expected = shard_name(shard), layout.file_bytes(shard)
    size = folder.size(name)
    if size is None:
        return "is missing"
    if size != expected:
        return f"has {size} bytes instead of {expected}"
    try:
        layout.check_index(shard, folder.read(name, expected - layout.index_bytes))
    except CorruptStoreError as error:
        return str(error)
    return None
