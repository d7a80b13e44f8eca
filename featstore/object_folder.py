"""ObjectFolder: a folder in a bucket, or below a URL.

Objects appear whole or not at all, and every reader sees them from then on.  There is no rename, so
what has several files appears with its ``zarr.json``, which is written last and deleted first.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from featstore import sums
from featstore.bucket import Bucket
from featstore.durable import STAGED, storage_error
from featstore.errors import FeatstoreError, InvalidInputError, StorageError
from featstore.folder import Staged
from featstore.object_client import request_threads

GROUP = "zarr.json"


class ObjectFolder:
    """A folder in a bucket, or below a URL; see `featstore.folder.Folder`.

    Parameters
    ----------
    bucket
        Where it is.
    key
        The folder's name there, without slashes at its ends.
    """

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket = bucket
        self._key = key

    @classmethod
    def at(cls, url: str, **options: Any) -> ObjectFolder:
        """Return the folder at a URL, whether it exists or not.

        Parameters
        ----------
        url
            ``s3://bucket/…``, ``gs://bucket/…``, ``az://container/…`` or ``http(s)://host/…``.
        options
            Of obstore's client; see docs/remote.md.

        Raises
        ------
        InvalidInputError
            If it is another kind of URL, or its path has ``.`` or ``..`` in it.
        """
        scheme, _, rest = url.partition("://")
        host, _, path = rest.partition("/")
        bucket = Bucket(f"{scheme.lower()}://{host}", options)
        if bucket.client.is_web:
            path = unquote(path)
        parts = [part for part in path.split("/") if part]
        if {".", ".."} & set(parts):
            raise InvalidInputError(f"write {url} without . and .. between the slashes")
        return cls(bucket, "/".join(parts))

    @property
    def name(self) -> str:
        """Last part of the URL."""
        return str(self).rpartition("/")[2]

    @property
    def local(self) -> None:
        """None: nothing here can be mapped."""

    def __str__(self) -> str:
        return self._bucket.url(self._key).rstrip("/")

    def __repr__(self) -> str:
        return f"ObjectFolder({str(self)!r})"

    def child(self, name: str) -> ObjectFolder:
        """Return a folder below this one, whether it exists or not."""
        return ObjectFolder(self._bucket, self._at(name))

    def pinned(self) -> ObjectFolder:
        """Return the folder itself: objects have nothing but their names."""
        return self

    def release(self) -> None:
        """Do nothing: objects cannot be locked."""

    def _at(self, name: str) -> str:
        """Return an object's full name in the bucket."""
        return "/".join(part for part in (self._key, name) if part)

    # Reading

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return an object's bytes from `start` on; at most `length` of them."""
        return self._bucket.read(self._at(name), start, length)

    def ranges(self, name: str, starts: Sequence[int], lengths: Sequence[int]) -> Any:
        """Return parts of an object, one after the other, in a buffer of sum(lengths) bytes.

        Raises
        ------
        CorruptStoreError
            If the object ends before the last of them does.
        """
        return self._bucket.ranges(self._at(name), starts, lengths)

    def size(self, name: str) -> int | None:
        """Return an object's size in bytes; None if there is no such object."""
        return self._bucket.size(self._at(name))

    def modified(self, name: str) -> float | None:
        """Return when an object was last written, by the service's clock, in seconds since 1970."""
        return self._bucket.modified(self._at(name))

    def files(self) -> dict[str, int]:
        """Return the size in bytes of every object below the folder, by name."""
        found = self._bucket.files(self._key)
        skipped = len(self._at("x")) - 1
        return {key[skipped:]: size for key, size in found.items()}

    def names(self, below: str) -> list[str]:
        """Return the names in a folder below, sorted; none if it does not exist."""
        files, folders = self._bucket.level(self._at(below))
        return sorted(files | folders)

    def groups(self) -> list[str]:
        """Return the names of the folders directly below that hold a ``zarr.json``, sorted."""
        _, folders = self._bucket.level(self._key)
        names = sorted(folders)
        sizes = request_threads().map(self.size, [f"{name}/{GROUP}" for name in names])
        return [name for name, size in zip(names, sizes, strict=True) if size is not None]

    def is_free(self) -> bool:
        """Whether something new can begin here: nothing is, or only what was left half-made."""
        self.check_writable()
        files, folders = self._bucket.level(self._key)
        return not (files or folders) or (sums.SUMS in files and GROUP not in files)

    def check_writable(self) -> None:
        """Raise `StorageError` for a web server."""
        self._bucket.client.check_writable(str(self))

    def zarr(self) -> Any:
        """Return what zarr-python opens as a store, read-only."""
        from zarr.storage import StorePath

        from featstore.object_zarr import ReadableObjects

        return StorePath(ReadableObjects(self._bucket.client), self._key)

    # Writing objects

    def write(self, name: str, buffers: Iterable[Any]) -> None:
        """Write an object, all or nothing; an existing one is replaced."""
        self._bucket.put(self._at(name), buffers)

    def create(self, name: str, buffers: Iterable[Any], *, about: Staged | None = None) -> bool:
        """Write an object, all or nothing; False, and nothing written, if there is one already."""
        if about is not None:
            about.flush()
        return self._bucket.create(self._at(name), b"".join(buffers))

    def append(self, name: str, line: bytes) -> None:
        """Append to an object that is only for people; one of two lines at a time may be lost."""
        try:
            content = self.read(name)
        except FileNotFoundError:
            content = b""
        self.write(name, [content, line])

    def stage(self, name: str, buffers: Iterable[Any], *, nbytes: int) -> StagedObject:
        """Take over bytes that `flush` will upload under a new name that begins with `name`."""
        staged = f"{name}.{secrets.token_hex(6)}{STAGED}"
        content = bytearray()
        for buffer in buffers:
            content += buffer
        return StagedObject(self, staged, content)

    def move(self, source: str, target: str) -> None:
        """Give a staged object its name, by a copy that the service makes."""
        self._bucket.copy(self._at(source), self._at(target))
        self.delete(source)

    def flush_names(self, *names: str) -> None:
        """Do nothing: what the service has confirmed is safe."""

    def delete(self, name: str) -> None:
        """Delete an object; no error if there is none."""
        self._bucket.delete([self._at(name)])

    def is_abandoned(self, staged: str) -> bool:
        """Return False: objects do not tell whether their writer is alive."""
        return False

    def claim(self, name: str) -> UnsharedClaim:
        """Grant everybody the claim: nobody can know who is alive."""
        return UnsharedClaim()

    # Whole folders

    def start(self, files: Mapping[str, bytes]) -> bool:
        """Create this folder with files in it; False, and nothing done, if it exists."""
        if self.size(GROUP) is not None:
            return False
        leftovers = self.files()
        if GROUP in leftovers:  # another process was faster
            return False
        self._bucket.delete(map(self._at, leftovers))
        for name, content in files.items():
            if name != GROUP:
                self.write(name, [content])
        return self.create(GROUP, [files[GROUP]])

    @contextmanager
    def filled(self, *, replace: bool = False) -> Iterator[Path]:
        """Fill this folder in a scratch folder; its ``zarr.json`` appears after all the rest."""
        self._bucket.client.check_writable(str(self))
        try:
            with tempfile.TemporaryDirectory(prefix="featstore-") as scratch:
                yield Path(scratch)
                sums.write(Path(scratch))
                self._send(Path(scratch), replace=replace)
        except OSError as error:
            if isinstance(error, FeatstoreError):
                raise
            raise storage_error(error, self) from error

    def _send(self, scratch: Path, *, replace: bool) -> None:
        """Upload a folder.

        The checksums of all its files go first, and claim the name.  Whoever finds the checksums
        of the same files there, left by an interruption or written by a twin this very moment,
        writes the same bytes to the same names.
        """
        if replace:
            self.remove()
        elif self.size(GROUP) is not None:
            raise StorageError(f"{self} exists; remove it first, or choose another name")
        claim = (scratch / sums.SUMS).read_bytes()
        if not self.create(sums.SUMS, [claim]):
            self._check_claim(claim)
        files = {
            file.relative_to(scratch).as_posix(): file
            for file in scratch.rglob("*")
            if file.is_file()
        }
        last = files.pop(GROUP).read_bytes()
        del files[sums.SUMS]
        list(request_threads().map(self._bucket.send, map(self._at, files), files.values()))
        self._check_claim(claim)
        if not self.create(GROUP, [last]):
            raise StorageError(f"{self} has just been written by another process")

    def _check_claim(self, claim: bytes) -> None:
        """Raise unless the checksums that claim this folder are the given ones."""
        with suppress(FileNotFoundError):
            if self.read(sums.SUMS) == claim:
                return
        raise StorageError(
            f"{self} is being written by another process, or was left half-made by one; wait for "
            "it, or delete all objects below that URL, and run the same command again"
        )

    def flush(self) -> None:
        """Do nothing: what the service has confirmed is safe."""

    def sweep(self) -> None:
        """Do nothing: no object has a temporary name, and parts of unfinished ones are hidden."""

    def remove(self, *, unless: Callable[[], bool] | None = None) -> bool:
        """Remove the folder, unless asked to keep it; without its first object it is gone."""
        if unless is not None and unless():
            return False
        by_order: dict[int, list[str]] = {}
        for name in self.files():
            by_order.setdefault(_removal_order(name), []).append(self._at(name))
        for _, keys in sorted(by_order.items()):
            self._bucket.delete(keys)
        return True


class StagedObject:
    """An object put aside; nobody else knows its name."""

    def __init__(self, folder: ObjectFolder, name: str, content: bytearray) -> None:
        self.name = name
        self._folder = folder
        self._content = content

    def flush(self) -> None:
        """Upload the bytes."""
        self._folder.write(self.name, [self._content])
        self._content = bytearray()

    def close(self) -> None:
        """Do nothing: there is no claim on an object."""


class UnsharedClaim:
    """A claim that everybody has: the first to commit wins."""

    def release(self, *, done: bool) -> None:
        """Do nothing."""


def _removal_order(name: str) -> int:
    """Order that leaves nothing half-removed that looks whole, and a mark until the end."""
    if name == GROUP:
        return 0
    if name.endswith(f"/{GROUP}"):
        return 1
    if name == sums.SUMS:
        return 4
    return 2 if "_commits/" in name else 3
