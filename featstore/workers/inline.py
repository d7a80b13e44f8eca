"""InlineWorker: computes in this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class InlineWorker(Generic[_Item, _Result]):
    """Computes while the caller waits.

    Parameters
    ----------
    begin
        See `featstore.workers.worker.Worker`.

    Examples
    --------
    >>> InlineWorker(lambda: str).submit(3).result()
    '3'
    """

    def __init__(self, begin: Callable[[], Callable[[_Item], _Result]]) -> None:
        self._work = begin()

    def submit(self, item: _Item) -> Future[_Result]:
        """Compute an item."""
        future: Future[_Result] = Future()
        future.set_result(self._work(item))
        return future

    def renew(self) -> None:
        """Do nothing: where this dies, everything does."""

    def close(self) -> None:
        """Do nothing."""
