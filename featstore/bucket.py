"""Bucket: objects by their full names, and what can be asked of them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from featstore.object_client import ObjectClient
from featstore.object_error import is_past_end, short_object

#: Larger objects are sent in parts of this size, a few at a time, and never copied whole.
_PART_BYTES = 8 << 20
_PARTS = 4
#: Attribute by which a writer knows its own object again.
_WRITER = "featstorewriter"


class Bucket:
    """A bucket, a container, or what a web server has.

    Parameters
    ----------
    root
        Its URL, without a path.
    options
        Of obstore's client; see docs/remote.md.

    Raises
    ------
    FileNotFoundError
        By everything that reads an object that is not there.
    StorageError
        By everything, where the service refuses or cannot be reached.
    """

    def __init__(self, root: str, options: Mapping[str, Any]) -> None:
        self.client = ObjectClient(root, options)

    def url(self, key: str) -> str:
        """Return an object's URL."""
        return f"{self.client.root}/{quote(key) if self.client.is_web else key}"

    # Reading

    def read(self, key: str, start: int, length: int | None) -> bytes:
        """Return an object's bytes from `start` on; at most `length` of them."""
        from obstore.exceptions import BaseError

        with self.client.asking(self.url(key)) as store:
            if start == 0 and length is None:
                return bytes(store.get(key).bytes())
            try:
                if length is not None:
                    return bytes(store.get_range(key, start=start, length=length))
                return bytes(store.get(key, options={"range": {"offset": start}}).bytes())
            except BaseError as error:
                if is_past_end(error):
                    return b""
                raise

    def ranges(self, key: str, starts: Sequence[int], lengths: Sequence[int]) -> Any:
        """Return parts of an object, one after the other, in a buffer of sum(lengths) bytes.

        Raises
        ------
        CorruptStoreError
            If the object ends before the last of them does.
        """
        from obstore.exceptions import BaseError

        wanted = sum(lengths)
        with self.client.asking(self.url(key)) as store:
            try:
                parts = store.get_ranges(key, starts=starts, lengths=lengths, coalesce=0)
            except BaseError as error:
                if is_past_end(error):
                    raise short_object(self.url(key), wanted, 0) from error
                raise
        got = sum(map(len, parts))
        if got != wanted:
            raise short_object(self.url(key), wanted, got)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def size(self, key: str) -> int | None:
        """Return an object's size in bytes; None if there is none."""
        facts = self._facts(key)
        return None if facts is None else int(facts["size"])

    def modified(self, key: str) -> float | None:
        """Return when it was written, by the service's clock, in seconds since 1970."""
        facts = self._facts(key)
        return None if facts is None else float(facts["last_modified"].timestamp())

    def _facts(self, key: str) -> Any:
        try:
            with self.client.asking(self.url(key)) as store:
                return store.head(key)
        except FileNotFoundError:
            return None

    def files(self, prefix: str) -> dict[str, int]:
        """Return the size in bytes of every object below a prefix, by full name."""
        with self.client.listing(self.url(prefix)) as store:
            pages = store.list(prefix or None, chunk_size=1000)
            found = {file["path"]: int(file["size"]) for page in pages for file in page}
        return dict(sorted(found.items()))

    def level(self, prefix: str) -> tuple[set[str], set[str]]:
        """Return the last names of the objects, and of the prefixes, directly below a prefix."""
        with self.client.listing(self.url(prefix)) as store:
            found = store.list_with_delimiter(prefix or None)
        files = {file["path"].rpartition("/")[2] for file in found["objects"]}
        return files, {folder.rpartition("/")[2] for folder in found["common_prefixes"]}

    # Writing

    def put(self, key: str, buffers: Iterable[Any]) -> None:
        """Write an object; an existing one is replaced."""
        content = [memoryview(buffer).cast("B") for buffer in buffers]
        with self.client.changing(self.url(key)) as store:
            if sum(map(len, content)) <= _PART_BYTES:
                store.put(key, b"".join(content), use_multipart=False)
                return
            parts = (
                buffer[start : start + _PART_BYTES]
                for buffer in content
                for start in range(0, len(buffer), _PART_BYTES)
            )
            store.put(key, parts, chunk_size=_PART_BYTES, max_concurrency=_PARTS)

    def send(self, key: str, file: Path) -> None:
        """Write an object from a file; an existing one is replaced."""
        with self.client.changing(self.url(key)) as store:
            store.put(key, file, chunk_size=_PART_BYTES, max_concurrency=_PARTS)

    def create(self, key: str, content: bytes) -> bool:
        """Write an object; False, and nothing written, if there is one already."""
        from obstore.exceptions import AlreadyExistsError

        if not self.client.is_exclusive:
            if self.size(key) is not None:
                return False
            self.put(key, [content])
            return True
        writer = secrets.token_hex(8)
        with self.client.changing(self.url(key)) as store:
            while True:
                with suppress(AlreadyExistsError):
                    store.put(key, content, mode="create", attributes={_WRITER: writer})
                    return True
                # The answer to a first request may have been lost and obstore have asked again:
                # then it is our own object that is in the way.
                with suppress(FileNotFoundError):  # deleted meanwhile: the name is free
                    found = store.get(key, options={"head": True}).attributes
                    return bool(found.get(_WRITER) == writer)

    def copy(self, source: str, target: str) -> None:
        """Copy an object, within the service; an existing one is replaced."""
        with self.client.changing(self.url(source)) as store:
            store.copy(source, target, overwrite=True)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; no error if there are none."""
        keys = list(keys)
        with self.client.changing(self.client.root) as store:
            try:
                if keys:
                    store.delete(keys)
            except FileNotFoundError:
                # Some services stop at the first object that is not there.
                for key in keys:
                    with suppress(FileNotFoundError):
                        store.delete(key)
