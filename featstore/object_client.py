"""ObjectClient: obstore's client of one bucket or host, in whatever process asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from featstore.errors import InvalidInputError, StorageError
from featstore.object_error import is_missing_bucket, object_error
from featstore.object_settings import client_settings, creates_exclusively

SCHEMES = ("s3", "gs", "az", "http", "https")
#: Requests under way at a time, of one process.
REQUESTS = 32

#: The process in which obstore's own threads run.  A forked child has none of them, and would
#: wait for their answers for ever.
_home: int | None = None


class ObjectClient:
    """A bucket, a container, or a web server.

    Parameters
    ----------
    root
        Its URL, without a path.
    options
        Of obstore's client; see docs/remote.md.

    Raises
    ------
    InvalidInputError
        If there is no such kind of URL.
    """

    def __init__(self, root: str, options: Mapping[str, Any]) -> None:
        self.root = root
        self.options = dict(options)
        self._stores: dict[bool, Any] = {}
        self._scheme = urlsplit(root).scheme
        if self._scheme not in SCHEMES or not urlsplit(root).netloc:
            raise InvalidInputError(
                f"cannot open {root!r}: a location is a path, file://…, or "
                f"{', '.join(f'{scheme}://…' for scheme in SCHEMES)} with a bucket or host"
            )

    def __reduce__(self) -> tuple[type[ObjectClient], tuple[str, dict[str, Any]]]:
        # A connection means nothing in another process.
        return ObjectClient, (self.root, self.options)

    @property
    def is_web(self) -> bool:
        """Whether it is a web server: it can be read, but neither written nor listed."""
        return self._scheme.startswith("http")

    @property
    def is_exclusive(self) -> bool:
        """Whether only one of several writers can create a name."""
        return creates_exclusively(self.options)

    @property
    def store(self) -> Any:
        """The client of obstore, for anything but sending objects."""
        return self._connected(sends=False)

    def _connected(self, *, sends: bool) -> Any:
        """Return obstore's client, connected by this very process.

        Raises
        ------
        StorageError
            In a process that was forked from one that has used object storage.
        InvalidInputError
            If an option does not exist, or has an impossible value.
        """
        global _home
        if _home not in (None, os.getpid()):
            raise StorageError(
                f"{self.root} cannot be used in this process: it was forked from one that has used "
                "object storage, whose connections do not survive that. Start workers with "
                "multiprocessing.get_context('spawn'), or a DataLoader with "
                "multiprocessing_context='spawn'"
            )
        if sends not in self._stores:
            self._stores[sends] = self._connect(sends=sends)
            _home = os.getpid()
        return self._stores[sends]

    def _connect(self, *, sends: bool) -> Any:
        from obstore.exceptions import BaseError
        from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store

        place = urlsplit(self.root).netloc
        settings = client_settings(self.root, self.options, sends=sends)
        try:
            if self.is_web:
                return HTTPStore(self.root, **settings)
            return {"s3": S3Store, "gs": GCSStore, "az": AzureStore}[self._scheme](
                place, **settings
            )
        except (BaseError, TypeError, ValueError) as error:
            reason = str(error).partition("\n\nDebug source")[0]
            raise InvalidInputError(f"cannot connect to {self.root}: {reason}") from error

    @contextmanager
    def asking(self, place: str, *, sends: bool = False) -> Iterator[Any]:
        """Lend obstore's client for a request about a place, and translate its errors.

        Raises
        ------
        FileNotFoundError
            If there is no such object.
        StorageError
            If the service refuses, or cannot be reached.
        """
        from obstore.exceptions import BaseError

        try:
            yield self._connected(sends=sends)
        except FileNotFoundError as error:
            if is_missing_bucket(error):
                raise object_error(error, place) from error
            raise FileNotFoundError(f"there is no {place}") from error
        except BaseError as error:
            raise object_error(error, place) from error

    @contextmanager
    def changing(self, place: str) -> Iterator[Any]:
        """Lend the client for a request that writes, where that is possible."""
        self.check_writable(place)
        with self.asking(place, sends=True) as store:
            yield store

    def check_writable(self, place: str) -> None:
        """Raise `StorageError` for a web server."""
        if self.is_web:
            raise StorageError(
                f"{place} is on a web server and can only be read; write to the bucket behind it "
                "(s3://…, gs://…, az://…), or to a copy of the store"
            )

    @contextmanager
    def listing(self, place: str) -> Iterator[Any]:
        """Lend the client for a request that lists names, where that is possible."""
        if self.is_web:
            raise StorageError(
                f"{place} cannot be listed: web servers do not say what they have. Name what you "
                "want (store.view('resnet50'), store.run('…')), or use the bucket behind it"
            )
        with self.asking(place) as store:
            yield store


def request_threads() -> ThreadPoolExecutor:
    """Return the threads that wait for requests, `REQUESTS` of them."""
    return _threads(os.getpid())


@cache
def _threads(process: int) -> ThreadPoolExecutor:
    """Return this process's threads; those of the parent do not outlive a fork."""
    return ThreadPoolExecutor(REQUESTS, thread_name_prefix="featstore-request")
