"""What is in a tar file of the WebDataset convention: samples, and where their images lie."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from featstore.datasets.folder import EXTENSIONS
from featstore.datasets.range_file import open_ranges
from featstore.errors import InvalidInputError, StorageError

#: Members that say something about an image, and are read while looking through.
_CLASS, _JSON = "cls", "json"


@dataclass(frozen=True)
class TarSample:
    """A sample of a tar file.

    Attributes
    ----------
    key
        What its members have in common: their path up to the first dot of the name.
    start, size
        Bytes of the image.
    fields
        ``cls`` of the member ``.cls``, and the fields of the object in ``.json``.
    """

    key: str
    start: int
    size: int
    fields: Mapping[str, Any] = field(default_factory=dict)


def index_tar(place: str, *, image: str | None = None) -> list[TarSample]:
    """Look through a tar file; images are passed over, not read.

    Parameters
    ----------
    place
        A path or URL.
    image
        Which member is the image, by what follows the first dot of its name, as in ``jpg`` or
        ``left.png``; by default the only one with the extension of an image.

    Raises
    ------
    InvalidInputError
        If it is no uncompressed tar file or was cut off, a sample has no image or several, or a
        label cannot be read.
    """
    samples: list[TarSample] = []
    try:
        with open_ranges(place) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            key, images = "", list[tuple[str, tarfile.TarInfo]]()
            members: list[str] = []
            fields: dict[str, Any] = {}
            for name, suffix, member in _members(tar):
                if name != key and members:
                    samples.append(_sample(place, key, members, images, fields))
                    images, members, fields = [], [], {}
                if suffix in members:
                    raise InvalidInputError(f"{place} has {name}.{suffix} twice")
                key = name
                members.append(suffix)
                if _is_image(suffix, image):
                    images.append((suffix, member))
                elif suffix in (_CLASS, _JSON):
                    # Now, while what follows its header has just been read.
                    content = tar.extractfile(member)
                    fields |= _fields(suffix, content.read() if content else b"", name, place)
            if members:
                samples.append(_sample(place, key, members, images, fields))
            _check_end(place, tar.offset, file)
    except tarfile.TarError as error:
        raise InvalidInputError(
            f"{place} cannot be read as a tar file: {error}; it must be whole and not compressed "
            "(a .tar.gz cannot be read in any order: unpack it with gunzip)"
        ) from error
    except StorageError:
        raise
    except OSError as error:
        raise InvalidInputError(f"{place} cannot be read: {error}") from error
    if not samples:
        raise InvalidInputError(f"{place} holds no samples")
    return samples


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, str, tarfile.TarInfo]]:
    """Yield key, suffix and member of every file, as WebDataset divides its name."""
    for member in tar:
        path = PurePosixPath(member.name)
        if not member.isfile() or path.name.startswith((".", "__")):
            continue
        stem, _, suffix = path.name.partition(".")
        parent = "" if str(path.parent) == "." else f"{path.parent}/"
        yield f"{parent}{stem}".removeprefix("./"), suffix.lower(), member


def _check_end(place: str, offset: int, file: BinaryIO) -> None:
    """Refuse a file that stops without saying so; tarfile takes any end for the end.

    POSIX.1-2017, pax, "ustar Interchange Format": at the end are two blocks of zeros.  One of them
    has always been enough for those who read.
    """
    file.seek(offset)
    block = file.read(tarfile.BLOCKSIZE)
    if block == bytes(tarfile.BLOCKSIZE):
        return
    if block:
        raise InvalidInputError(
            f"{place} is damaged, or was cut off: at byte {offset} there is neither a member nor "
            "the end"
        )
    raise InvalidInputError(
        f"{place} was cut off: it has no end, two blocks of zeros, behind its last member at byte "
        f"{offset}. Write or copy it again; if it is known to hold everything, "
        f"`head -c 1024 /dev/zero >> {place.rpartition('/')[2]}` ends it"
    )


def _is_image(suffix: str, image: str | None) -> bool:
    if image is not None:
        return suffix == image.lower()
    return f".{suffix.rpartition('.')[2]}" in EXTENSIONS


def _sample(
    place: str,
    key: str,
    members: Sequence[str],
    images: Sequence[tuple[str, tarfile.TarInfo]],
    fields: Mapping[str, Any],
) -> TarSample:
    if len(images) != 1:
        names = ", ".join(suffix for suffix, _ in images)
        found = f"{len(images)} images ({names})" if images else "no image"
        raise InvalidInputError(
            f"sample {key!r} of {place} has {found} among {', '.join(members)}; say which member "
            "is the image (?image=…)"
        )
    member = images[0][1]
    return TarSample(key, member.offset_data, member.size, fields)


def _fields(suffix: str, content: bytes, key: str, place: str) -> dict[str, Any]:
    name = f"{key}.{suffix} of {place}"
    try:
        if suffix == _CLASS:
            return {"cls": content.decode().strip()}
        found = json.loads(content)
    except ValueError as error:
        raise InvalidInputError(f"{name} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise InvalidInputError(f"{name} holds no object with fields")
    return found
