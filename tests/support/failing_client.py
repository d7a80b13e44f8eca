"""An obstore client that fails at the k-th request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

_REQUESTS = {
    "copy",
    "delete",
    "get",
    "get_range",
    "get_ranges",
    "head",
    "list",
    "list_with_delimiter",
    "put",
}


class Crash(BaseException):
    """The process is dead; nothing may catch this."""


class FailingClient:
    """Passes requests on until one fails.

    Parameters
    ----------
    client
        The client of obstore.
    fails_at
        The number of that request, from 0; None for never.
    error
        Raised then.  After a `Crash` all later requests fail as well: even what a process does
        to tidy up is not done by a dead one.
    """

    def __init__(
        self, client: Any, *, fails_at: int | None = None, error: type[BaseException] = Crash
    ) -> None:
        self._client = client
        self._fails_at = fails_at
        self._error = error
        self._lock = threading.Lock()
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return self._counted(method) if name in _REQUESTS else method

    def _counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def request(*args: Any, **options: Any) -> Any:
            with self._lock:
                number, self.count = self.count, self.count + 1
            late = self._fails_at is not None and number > self._fails_at
            if number == self._fails_at or (late and self._error is Crash):
                raise self._error(f"at request {number}")
            return method(*args, **options)

        return request
