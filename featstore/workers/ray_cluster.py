"""RayWorker: computes in an actor of a Ray cluster."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, TypeVar

from featstore.errors import InvalidInputError
from featstore.optional import import_optional

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_PATIENCE_S = 10
_HINT = (
    "Start one with `ray start --head`, or leave the address away to compute on this machine alone"
)


class RayWorker(Generic[_Item, _Result]):
    """An actor; Ray finds a machine for it.  Made by `ray_workers`.

    Parameters
    ----------
    new
        Asks Ray for an actor.
    kill
        Ends one.
    """

    def __init__(self, new: Callable[[], Any], kill: Callable[[Any], None]) -> None:
        self._new, self._kill = new, kill
        self._actor = new()

    def submit(self, item: _Item) -> Future[_Result]:
        """Begin to compute an item."""
        future: Future[_Result] = self._actor.compute.remote(item).future()
        return future

    def renew(self) -> None:
        """Ask for another actor."""
        self.close()
        self._actor = self._new()

    def close(self) -> None:
        """End the actor, whatever it is at."""
        self._kill(self._actor)


def ray_workers(
    count: int, begin: Callable[[], Callable[[_Item], _Result]], *, cpus: int, gpus: int = 0
) -> list[RayWorker[_Item, _Result]]:
    """Ask the cluster that `connect` found for actors.

    Files must be where every machine sees them: on a shared file system or at a URL.

    Parameters
    ----------
    count
        How many.
    begin
        See `featstore.workers.worker.Worker`; it is sent once for all.
    cpus, gpus
        Reserved for each.
    """
    ray: Any = import_optional("ray", extra="ray")
    # Where there is room on several machines, each gets some.
    seat = ray.remote(num_cpus=cpus, num_gpus=gpus, scheduling_strategy="SPREAD")(_Seat)
    told, folder = ray.put(begin), os.getcwd()  # noqa: PTH109 - in step with os.chdir
    return [RayWorker(lambda: seat.remote(told, folder), ray.kill) for _ in range(count)]


class _Seat:
    """The actor."""

    def __init__(self, begin: Callable[[], Callable[[Any], Any]], folder: str) -> None:
        # Relative paths mean the same as where the work was given out, if the machine has the
        # folder.
        with suppress(OSError):
            os.chdir(folder)
        self._work = begin()

    def compute(self, item: Any) -> Any:
        return self._work(item)


def connect(address: str | None = None) -> int:
    """Connect to a cluster and return its CPUs.

    Parameters
    ----------
    address
        Of the cluster; by default that of ``RAY_ADDRESS``, or of the one that runs on this
        machine.  If there is none, one is started here.

    Raises
    ------
    MissingDependencyError
        If Ray is not installed.
    InvalidInputError
        If no cluster answers at the address.
    """
    ray: Any = import_optional("ray", extra="ray")
    if not ray.is_initialized():
        told = address or os.environ.get("RAY_ADDRESS")
        if told is not None:
            check_address(told)
        try:
            ray.init(
                address=address, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
            )
        except (ConnectionError, ValueError) as error:
            if told is None:
                raise
            raise InvalidInputError(f"no Ray cluster answers at {told}: {error}. {_HINT}") from None
    return int(ray.cluster_resources().get("CPU", 1))


def check_address(address: str) -> None:
    """Refuse an address at which nothing listens; Ray would try for minutes.

    Parameters
    ----------
    address
        ``"host:port"``; words such as ``"auto"`` are left to Ray.

    Raises
    ------
    InvalidInputError
        If the connection is refused, or is not made within ten seconds.
    """
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not (colon and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise InvalidInputError(f"no Ray cluster answers at {address}: {error}. {_HINT}") from error


def cluster_nodes() -> list[dict[str, float]]:
    """Return the resources of each machine of the cluster, such as ``{"CPU": 8, "GPU": 1}``."""
    ray: Any = import_optional("ray", extra="ray")
    return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]
