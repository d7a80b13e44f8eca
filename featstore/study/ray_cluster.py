"""RayWorker: cells computed by an actor of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from featstore.optional import import_optional
from featstore.study.cell import Cell
from featstore.study.desk import Desk
from featstore.study.outcome import CellOutcome


class RayWorker:
    """An actor; Ray finds a machine for it.

    Stores must be where every machine sees them: on a shared file system or at a URL.

    Parameters
    ----------
    threads, capacity
        Of its desk; as many CPUs are reserved as there are threads.
    gpu
        Whether to reserve a GPU too.
    """

    def __init__(self, threads: int, capacity: int | None, *, gpu: bool = False) -> None:
        ray: Any = import_optional("ray", extra="ray")
        remote = ray.remote(num_cpus=threads, num_gpus=int(gpu))(Desk)
        self._ray = ray
        self._new: Callable[[], Any] = lambda: remote.remote(threads, capacity)
        self._actor: Any = self._new()

    def submit(self, cell: Cell) -> Future[CellOutcome]:
        """Begin to compute a cell."""
        future: Future[CellOutcome] = self._actor.compute.remote(cell).future()
        return future

    def renew(self) -> None:
        """Ask for another actor."""
        self.close()
        self._actor = self._new()

    def close(self) -> None:
        """End the actor, whatever it is at."""
        self._ray.kill(self._actor)


def connect() -> int:
    """Connect to the cluster of ``RAY_ADDRESS``, or start one here; return its CPUs.

    Raises
    ------
    MissingDependencyError
        If Ray is not installed.
    """
    ray: Any = import_optional("ray", extra="ray")
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    return int(ray.cluster_resources().get("CPU", 1))
