"""Time a store on a service against zarr-python on the same bytes, and against a disk.

    python benchmarks/remote.py                                    # a web server on this machine
    python benchmarks/remote.py --latency 0.02 --bandwidth 100     # one at 20 ms and 100 MB/s
    python benchmarks/remote.py --service s3                       # moto's S3 server

All contestants read the same objects, and take turns within each repeat; times are medians, ratios
are medians of the ratios within a repeat.  The service is a process of its own that shares the
cores with the clients and needs 0.2 ms or more for a request, so that a real one does better.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr

SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"
sys.path.insert(0, str(SUPPORT))

from s3_server import KEYS, S3Server  # noqa: E402
from small_store import fill, make_samples  # noqa: E402

from featstore.store import FeatureStore  # noqa: E402

NAME = "x"


@contextmanager
def service(kind: str, folder: Path, link: list[str]) -> Iterator[str]:
    """Serve what is in `folder`, or an empty bucket; yield its URL."""
    if kind == "s3":
        server = S3Server()
        os.environ.update(KEYS, AWS_ENDPOINT_URL=server.url)
        try:
            yield f"s3://{server.new_bucket()}"
        finally:
            server.stop()
        return
    command = [sys.executable, str(SUPPORT / "range_server.py"), str(folder), *link]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def tasks(local: FeatureStore, remote: FeatureStore) -> dict[str, dict[str, Callable[[], Any]]]:
    """Name the tasks, and for each of them the contestants."""
    here, there = local.view(NAME), remote.view(NAME)
    stock = zarr.open_array(remote.folder.child(f"features/{NAME}").zarr(), mode="r")
    n = len(here)
    rng = np.random.default_rng(0)
    some: dict[str, Callable[[], Any]] = {}
    out = np.empty(here.shape, here.dtype)
    found = {
        "all rows": {
            "featstore": lambda: there.load(out=out),
            "zarr-python": lambda: stock[:],
            "featstore, disk": lambda: here.load(out=out),
        }
    }
    for share in (0.001, 0.01, 0.1):
        index = rng.choice(n, max(int(n * share), 1), replace=False)
        ordered = np.sort(index)
        some = {
            "featstore": lambda index=index: there.take(index),
            "zarr-python": lambda index=ordered: stock.oindex[index],
            "featstore, disk": lambda index=index: here.take(index),
        }
        found[f"{len(index)} random rows"] = some
    start = n // 3
    span = np.arange(start, start + min(n // 3, 1000))
    found[f"{len(span)} rows in a row"] = {
        "featstore": lambda: there.take(span),
        "zarr-python": lambda: stock[span[0] : span[-1] + 1],
        "featstore, disk": lambda: here.take(span),
    }
    return found


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--service", choices=["web", "s3"], default="web")
    parser.add_argument("--latency", type=float, default=0.0, help="Seconds, of the web server.")
    parser.add_argument("--bandwidth", type=float, default=0.0, help="MB/s, of the web server.")
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    link = ["--latency", str(options.latency), "--bandwidth", str(options.bandwidth)]
    X = np.random.default_rng(0).standard_normal((options.rows, options.dim)).astype(np.float32)
    samples = make_samples(options.rows)
    with (
        tempfile.TemporaryDirectory() as scratch,
        service(options.service, Path(scratch), link) as url,
    ):
        local = FeatureStore.create(Path(scratch, "x.zarr"), samples)
        write = {"disk": _seconds(lambda: fill(local, NAME, X))}
        if options.service == "s3":
            remote = FeatureStore.create(f"{url}/x.zarr", samples)
            write["service"] = _seconds(lambda: fill(remote, NAME, X))
        else:
            remote = FeatureStore.open(f"{url}/x.zarr")
        layout = local.feature(NAME).layout
        print(
            f"{options.rows} x {options.dim} float16, {layout.n_shards} shards; service: "
            f"{options.service}, {' '.join(link)}"
        )
        for place, seconds in write.items():
            print(f"write to {place}: {seconds:.2f} s")
        for task, contestants in tasks(local, remote).items():
            _race(task, contestants, options.repeats)


def _race(task: str, contestants: dict[str, Callable[[], Any]], repeats: int) -> None:
    ours = np.sort(np.asarray(contestants["featstore"]()).ravel())
    for name, work in contestants.items():
        assert np.array_equal(np.sort(np.asarray(work()).ravel()), ours), name
    times = {name: np.empty(repeats) for name in contestants}
    for repeat in range(repeats):
        for name, work in contestants.items():
            times[name][repeat] = _seconds(work)
    for name, seconds in times.items():
        ratio = np.median(seconds / times["featstore"])
        print(f"{task:>20}  {name:16} {1e3 * np.median(seconds):9.1f} ms  {ratio:7.2f} x")


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
