"""Installation: what featstore needs, looked at part by part (`featstore doctor`).

Every part is a function that yields `Check`s and changes nothing but a temporary file.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

from featstore.installation.check import Check, State

__all__ = ["Check", "State", "examine"]


def examine(folder: str | Path | None = None, *, store: str | None = None) -> Iterator[Check]:
    """Look at everything; takes some seconds, most of them for importing torch.

    Parameters
    ----------
    folder
        Where stores are to be: its disk is measured.  By default the store's own folder, or else
        the current one.
    store
        A store to look at as well, by path or URL.

    Yields
    ------
    check
        In the order of a report.

    Examples
    --------
    >>> next(iter(examine())).area
    'python'
    """
    from featstore.cgroup import cgroup_limits
    from featstore.installation.decoders import check_decoders
    from featstore.installation.disk import check_disk
    from featstore.installation.faiss_index import check_faiss
    from featstore.installation.layout import check_layout
    from featstore.installation.packages import check_extras, check_packages, check_python
    from featstore.installation.processor import check_cores, check_memory, check_threads
    from featstore.installation.stored import check_store
    from featstore.installation.torch_devices import check_devices, nvidia_driver
    from featstore.location import is_url

    yield check_python()
    yield check_layout(Path(__file__).parents[1])
    broken = set()
    for check in check_packages():
        broken |= {check.subject} if check.state == "problem" else set()
        yield check
    yield from check_extras()
    if "torch" not in broken:
        yield from check_devices(importlib.import_module("torch"), nvidia_driver())
    limits = cgroup_limits()
    yield check_cores(limits)
    yield check_memory(limits)
    yield from check_threads()
    if "pillow" not in broken:
        yield from check_decoders()
    if "faiss-cpu" not in broken:
        yield check_faiss()
    if folder is not None or store is None or not is_url(store):
        beside = Path(store).absolute().parent if store else Path()
        reading = folder is None and store is not None
        yield from check_disk(beside if folder is None else Path(folder), reading=reading)
    if store is not None:
        yield from check_store(store)
