"""Shards: their bytes against what was promised when they were committed."""

from __future__ import annotations

from collections.abc import Callable

import crc32c

from featstore.commits import Commit
from featstore.folder import Folder
from featstore.presence import shard_problem
from featstore.shards import ShardLayout, shard_name

#: Bytes held at a time: several times faster than whole shards, whose memory is always new.
_PIECE = 8 << 20


def shard_damage(
    folder: Folder,
    layout: ShardLayout,
    commit: Commit,
    *,
    staged: str | None = None,
    advance: Callable[[int], None],
) -> str | None:
    """Say what is wrong with a shard; None if nothing is.

    Parameters
    ----------
    folder
        The feature's folder.
    layout, commit
        What is expected.
    staged
        Where the bytes may still be, if the feature is being written.
    advance
        Told how many bytes have been read.

    Raises
    ------
    OSError
        If the system refuses to say.
    """
    name = shard_name(commit.shard)
    problem = shard_problem(folder, layout, commit.shard)
    if problem and staged is not None:
        if shard_problem(folder, layout, commit.shard, name=staged) is None:
            name, problem = staged, None
        else:  # It may have been given its name between the two looks.
            problem = shard_problem(folder, layout, commit.shard)
    return problem or _chunk_damage(folder, name, layout, commit, advance)


def _chunk_damage(
    folder: Folder, name: str, layout: ShardLayout, commit: Commit, advance: Callable[[int], None]
) -> str | None:
    chunk_bytes = layout.chunk_rows * layout.row_bytes
    per_piece = max(_PIECE // chunk_bytes, 1)
    bad = []
    for first in range(0, len(commit.crc32c), per_piece):
        promised = commit.crc32c[first : first + per_piece]
        piece = memoryview(folder.read(name, first * chunk_bytes, len(promised) * chunk_bytes))
        for i, checksum in enumerate(promised):
            if crc32c.crc32c(piece[i * chunk_bytes : (i + 1) * chunk_bytes]) != checksum:
                bad.append(first + i)
        advance(len(piece))
    if not bad:
        return None
    return (
        f"{len(bad)} of {len(commit.crc32c)} chunks have another checksum than committed, the "
        f"first from row {commit.start + bad[0] * layout.chunk_rows} on"
    )
