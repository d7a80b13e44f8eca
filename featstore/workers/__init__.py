"""Workers: somebody else's process, here or on a cluster, that computes one thing at a time."""

from featstore.workers.devices import named_devices, process_devices, rank_device
from featstore.workers.engine import Engine, check_engine
from featstore.workers.inline import InlineWorker
from featstore.workers.process import ProcessWorker
from featstore.workers.ray_cluster import RayWorker, cluster_nodes, connect, ray_workers
from featstore.workers.seats import Seats
from featstore.workers.worker import Worker

__all__ = [
    "Engine",
    "InlineWorker",
    "ProcessWorker",
    "RayWorker",
    "Seats",
    "Worker",
    "check_engine",
    "cluster_nodes",
    "connect",
    "named_devices",
    "process_devices",
    "rank_device",
    "ray_workers",
]
