"""Published: words of a record without the folders of the machine that it was made on."""

from __future__ import annotations

import re
import shlex

#: An absolute path, alone or behind a name or a scheme of ours; no URL has its first slash there.
_FOLDERS = re.compile(r"(^|[=:])/(?!/)(?:[^/]+/)*(?=[^/])")


def published(word: str) -> str:
    """Return a path or source of weights with the last part of an absolute path only.

    Examples
    --------
    >>> published("/home/ada/birds.zarr"), published("a=checkpoint:/tmp/net.pt#layer4")
    ('birds.zarr', 'a=checkpoint:net.pt#layer4')
    >>> published("s3://bucket/birds.zarr"), published("timm/vit_small"), published("photos")
    ('s3://bucket/birds.zarr', 'timm/vit_small', 'photos')
    """
    return _FOLDERS.sub(r"\1", word)


def published_command(line: str) -> str:
    """Return a line for a shell whose words are published.

    Examples
    --------
    >>> published_command("featstore extract '/mnt/my photos' --out /data/b.zarr")
    "featstore extract 'my photos' --out b.zarr"
    """
    return shlex.join(map(published, shlex.split(line)))
