"""A number of threads for everything that computes: the last bits of a result depend on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def fixed_threads(count: int) -> Iterator[None]:
    """Compute on so many threads, whatever the machine has, and as before afterwards.

    Sums are cut by threads: equal numbers of them give equal bits on machines of one kind.

    Parameters
    ----------
    count
        Of BLAS, OpenMP and torch.
    """
    # Limits reach the libraries that are loaded: all that may compute must be.
    import faiss  # noqa: F401
    import sklearn.neighbors  # noqa: F401
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    with threadpool_limits(limits=count):
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)
