"""Worker: the protocol of whoever computes one thing at a time, somewhere."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol, TypeVar

_Item = TypeVar("_Item", contravariant=True)
_Result = TypeVar("_Result")


class Worker(Protocol[_Item, _Result]):
    """Computes one item at a time.

    What a worker is made with is a callable ``begin`` without arguments, which travels to it and
    returns there, once, the callable that computes items.
    """

    def submit(self, item: _Item) -> Future[_Result]:
        """Begin; the future fails only if the worker itself does."""
        ...

    def renew(self) -> None:
        """Replace what has died."""
        ...

    def close(self) -> None:
        """End, and whatever it is at."""
        ...
