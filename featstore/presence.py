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
    # An object is stored whole or not at all: one listing of the sizes spares two requests a shard.
    sizes = None if folder.local is not None else folder.child("c").files()
    for shard in range(layout.n_shards):
        if sizes is None:
            problem = shard_problem(folder, layout, shard)
        else:
            problem = _size_problem(sizes.get(f"{shard}/0"), layout.file_bytes(shard))
        if problem:
            raise CorruptStoreError(
                f"{folder}/{shard_name(shard)} {problem}; `featstore verify --repair` sets it "
                "aside, and extracting again replaces it"
            )


def shard_problem(
    folder: Folder, layout: ShardLayout, shard: int, *, name: str | None = None
) -> str | None:
    """Say what is wrong with a shard's size or index; None if nothing is.

    Its file can be one that still has another `name`.
    """
    name, expected = name or shard_name(shard), layout.file_bytes(shard)
    problem = _size_problem(folder.size(name), expected)
    if problem:
        return problem
    try:
        layout.check_index(shard, folder.read(name, expected - layout.index_bytes))
    except CorruptStoreError as error:
        return str(error)
    except FileNotFoundError:
        return "is missing"  # since a moment ago
    return None


def _size_problem(size: int | None, expected: int) -> str | None:
    if size is None:
        return "is missing"
    return None if size == expected else f"has {size} bytes instead of {expected}"
