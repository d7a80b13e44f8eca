"""Fingerprints: whether images are still those that a store was extracted from.

A store remembers the size of every file, and when the newest of them was changed; or, where it was
asked to, a hash of every file's content.  Hashes are 64 bits of BLAKE2b: enough to notice a change,
no protection against somebody who wants to hide one.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from featstore.cores import available_cores
from featstore.dataset import Dataset
from featstore.errors import UnreadableImageError
from featstore.look_ahead import ahead
from featstore.samples import Samples

#: ``"time"``: sizes, and no file changed after the newest of them.  ``"size"``: sizes alone.
#: ``"content"``: hashes.
Fingerprint = Literal["time", "size", "content"]

#: Key of a store's source: when the newest image was changed, in ns since 1970.
NEWEST = "newest_ns"
#: Key of the options in a store's source.
HASH = "hash"
_ROWS = 256


@dataclass(frozen=True, eq=False)
class MarkedImages:
    """A data set with other marks of content; see `featstore.dataset.Dataset`.

    Attributes
    ----------
    dataset
        Where the images are.
    samples, source
        With the marks, and with what they are.
    """

    dataset: Dataset
    samples: Samples
    source: Mapping[str, Any]

    def image(self, row: int) -> Any:
        """Return what the data set returns."""
        return self.dataset.image(row)


def marked(dataset: Dataset, fingerprint: Fingerprint) -> Dataset:
    """Return a data set that is marked in one of three ways.

    Parameters
    ----------
    dataset
        Its images are read for ``"content"``, and asked for their times for ``"time"``.
    fingerprint
        Which way.

    Raises
    ------
    UnreadableImageError
        If a file cannot be read.
    """
    source = dict(dataset.source)
    if fingerprint == "content":
        source["options"] = {**source.get("options", {}), HASH: True}
        samples = dataclasses.replace(dataset.samples, marks=_hashes(dataset))
        return MarkedImages(dataset, samples, source)
    if fingerprint == "time" and (times := _times(dataset)) is not None:
        return MarkedImages(dataset, dataset.samples, {**source, NEWEST: int(times.max())})
    return dataset


def fingerprint_of(source: Mapping[str, Any]) -> Fingerprint:
    """Say how a store's images are marked.

    Parameters
    ----------
    source
        The store's.

    Examples
    --------
    >>> fingerprint_of({"kind": "folder"}), fingerprint_of({"options": {"hash": True}})
    ('size', 'content')
    """
    if source.get("options", {}).get(HASH):
        return "content"
    return "time" if NEWEST in source else "size"


def changed_since(dataset: Dataset, source: Mapping[str, Any]) -> list[str]:
    """Return the ids of images that were changed after a store's newest.

    Parameters
    ----------
    dataset
        The images as they are now.
    source
        The store's.
    """
    times = _times(dataset)
    if times is None or NEWEST not in source:
        return []
    changed: list[str] = dataset.samples.ids[times > source[NEWEST]].tolist()
    return changed


def _times(dataset: Dataset) -> NDArray[np.int64] | None:
    """When each file was changed, in ns since 1970; None if the images are no files."""
    rows = len(dataset.samples)
    if not rows or not isinstance(dataset.image(0), Path):
        return None
    times = np.empty(rows, np.int64)
    for row in range(rows):
        path = dataset.image(row)
        if not isinstance(path, Path):
            return None
        try:
            times[row] = path.stat().st_mtime_ns
        except OSError as error:
            raise UnreadableImageError(
                f"cannot read image {str(path)!r}: {error.strerror}"
            ) from error
    return times


def _hashes(dataset: Dataset) -> NDArray[np.uint64]:
    marks = np.empty(len(dataset.samples), np.uint64)

    def fill(rows: range) -> None:
        for row in rows:
            content = hashlib.blake2b(_content(dataset.image(row)), digest_size=8)
            marks[row] = int.from_bytes(content.digest(), "little")

    starts = range(0, len(marks), _ROWS)
    pieces = (range(start, min(start + _ROWS, len(marks))) for start in starts)
    cores = available_cores()
    for _ in ahead(fill, pieces, threads=cores, depth=2 * cores):
        pass
    return marks


def _content(image: Any) -> bytes:
    if isinstance(image, bytes):
        return image
    if isinstance(image, str | Path):
        try:
            return Path(image).read_bytes()
        except OSError as error:
            raise _unreadable(image, error) from error
    return np.ascontiguousarray(np.asarray(image)).tobytes()


def _unreadable(path: str | Path, error: OSError) -> UnreadableImageError:
    return UnreadableImageError(f"cannot read image {str(path)!r}: {error.strerror}")
