"""Work on what comes next, in threads, while what has come is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

#: Results in memory at a time: the one in use, and the one under way.
DEPTH = 2


def ahead(
    work: Callable[[_Item], _Result],
    items: Iterable[_Item],
    *,
    threads: int = 1,
    depth: int = DEPTH,
) -> Iterator[_Result]:
    """Yield work(item) for each item, in order, while threads are at the next ones.

    Parameters
    ----------
    work
        Done in a thread.
    items
        Asked for no earlier than they are needed.
    threads
        How many.
    depth
        Results at a time: the one that was yielded last and those under way.

    Examples
    --------
    >>> list(ahead(str, range(3)))
    ['0', '1', '2']
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="featstore-ahead") as pool:
        under_way: deque[Future[_Result]] = deque()
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) == depth:
                yield under_way.popleft().result()
        for result in under_way:
            yield result.result()
