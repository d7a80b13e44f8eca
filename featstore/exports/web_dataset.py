"""WebDataset: the images of a subset in tar files, with an index of these."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from featstore.errors import InvalidInputError
from featstore.new_file import new_file

if TYPE_CHECKING:
    from featstore.exports.manifest import Entry

_SHARD_IMAGES = 10_000
INDEX = "index.json"


def write_shards(
    entries: Sequence[Entry],
    classes: Sequence[str],
    out: Path,
    *,
    shard_images: int = _SHARD_IMAGES,
) -> list[Path]:
    """Copy images into tar files as the WebDataset library reads them.

    Every image has a key, its number in the subset with nine digits, and three members: the file as
    it is, under the key and its suffix; ``<key>.cls``, the code of its class; ``<key>.json`` with
    its id and label.  ``index.json`` beside the tar files lists them with their numbers of images,
    in version 1 of the library's ``wids`` format.

    Parameters
    ----------
    entries
        The images, in this order.
    classes
        Names of the classes, in the order of their codes.
    out
        Name of the tar files, with a place for their number: ``birds-%06d.tar``.
    shard_images
        Images of a tar file, at most.

    Returns
    -------
    shards
        The tar files.

    Raises
    ------
    InvalidInputError
        If an image has no label, or its file cannot be read.
    StorageError
        If the disk refuses.
    """
    code = {name: i for i, name in enumerate(classes)}
    shards: list[Path] = []
    listed = []
    for start in range(0, len(entries), shard_images):
        some = entries[start : start + shard_images]
        path = out.with_name(out.name % len(shards))
        with new_file(path) as temporary, tarfile.open(temporary, "w") as shard:
            for number, entry in enumerate(some, start):
                _add(shard, f"{number:09d}", entry, code)
        shards.append(path)
        listed.append({"url": path.name, "nsamples": len(some)})
    index = {
        "__kind__": "wids-shard-index-v1",
        "wids_version": 1,
        "name": out.stem,
        "shardlist": listed,
    }
    with new_file(out.with_name(INDEX)) as temporary:
        temporary.write_text(json.dumps(index, indent=1), encoding="utf-8")
    return shards


def _add(shard: tarfile.TarFile, key: str, entry: Entry, code: dict[str, int]) -> None:
    if not entry.labels:
        raise InvalidInputError(f"{entry.id} has no label; write a .csv or .jsonl")
    try:
        image = Path(str(entry.path)).read_bytes()
    except OSError as error:
        raise InvalidInputError(
            f"{entry.path or entry.id} cannot be read ({error}); say where the images are (--root)"
        ) from error
    label = entry.labels[0]
    said = json.dumps({"id": entry.id, "label": label}, ensure_ascii=False)
    suffix = Path(entry.id).suffix.lower() or ".img"
    # Equal images make equal files: no time, no owner.
    for name, content in (
        (f"{key}{suffix}", image),
        (f"{key}.cls", str(code[label]).encode()),
        (f"{key}.json", said.encode()),
    ):
        member = tarfile.TarInfo(name)
        member.size = len(content)
        shard.addfile(member, io.BytesIO(content))
