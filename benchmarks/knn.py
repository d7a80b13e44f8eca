"""Time the search of the kNN probe against faiss, scikit-learn and plain torch.

    python benchmarks/knn.py                                      # digits
    python benchmarks/knn.py features.npz --threads 1 --json out.json
    python benchmarks/knn.py --synthetic 60000 1280 --queries 1000 --k 200
    python benchmarks/knn.py features.npz --approximate           # faiss-ivf, faiss-hnsw, recall

All look for the k nearest rows by the cosine, in float32; the training rows are prepared, and the
indexes made, before the clock starts.  Within each repeat the searches take turns, in an order that
changes from repeat to repeat, so that a busy machine is busy for all of them; times are medians,
ratios are medians of the ratios within a repeat, above 1 where featstore is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from closed_forms import synthetic
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from featstore.probes import KNNProbe
from store_harness.machine import describe

Rows = NDArray[np.float32]
#: Queries -> their neighbours, (n, k).
Search = Callable[[Rows], NDArray[Any]]


@dataclass(frozen=True)
class Timing:
    """One way to search; ratios are to featstore's, `recall` the share of its neighbours found."""

    search: str
    wall_s: float
    cpu_s: float
    wall_ratio: float
    cpu_ratio: float
    build_cpu_s: float
    recall: float


def unit(X: NDArray[Any]) -> Rows:
    """Divide rows by their norm; zero rows stay zero."""
    X = X.astype(np.float32)
    return X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)


def probe(X: Rows, k: int, engine: Any) -> Search:
    """Search as featstore does."""
    fitted = KNNProbe(k, engine=engine).fit(X, np.zeros(len(X), int))
    return lambda queries: fitted.kneighbors(queries)[0]


def flat(X: Rows, k: int) -> Search:
    """faiss, exact."""
    index = faiss.IndexFlatIP(X.shape[1])
    index.add(unit(X))
    return lambda queries: index.search(unit(queries), k)[1]


def brute(X: Rows, k: int) -> Search:
    """scikit-learn, exact."""
    model = NearestNeighbors(n_neighbors=k, algorithm="brute", metric="cosine").fit(X)
    return lambda queries: model.kneighbors(queries, return_distance=False)


def plain_torch(X: Rows, k: int) -> Search:
    """A product and `torch.topk` over all rows, 500 queries at a time."""
    train = torch.from_numpy(unit(X))

    def search(queries: Rows) -> NDArray[Any]:
        parts = torch.from_numpy(unit(queries)).split(500)
        return torch.cat([(part @ train.T).topk(k).indices for part in parts]).numpy()

    return search


EXACT: dict[str, Callable[[Rows, int], Search]] = {
    "featstore, torch": lambda X, k: probe(X, k, "torch"),
    "faiss IndexFlatIP": flat,
    "torch mm + topk": plain_torch,
    "scikit-learn brute": brute,
}
APPROXIMATE: dict[str, Callable[[Rows, int], Search]] = {
    "featstore, faiss-ivf": lambda X, k: probe(X, k, "faiss-ivf"),
    "featstore, faiss-hnsw": lambda X, k: probe(X, k, "faiss-hnsw"),
}


def race(
    X: Rows, queries: Rows, ways: dict[str, Callable[[Rows, int], Search]], *, k: int, repeats: int
) -> list[Timing]:
    """Search `repeats` times in each way, in turns; the first way is featstore's."""
    searches, build = [], []
    for make in ways.values():
        start = time.process_time()
        searches.append(make(X, k))
        build.append(time.process_time() - start)
    found = [search(queries[:64]) for search in searches]  # and the first use of everything
    wall, cpu = np.empty((2, len(ways), repeats))
    for repeat in range(repeats):
        for which in np.roll(np.arange(len(ways)), repeat):
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            searches[which](queries)
            cpu[which, repeat] = time.process_time() - cpu_start
            wall[which, repeat] = time.perf_counter() - wall_start
    return [
        Timing(
            name,
            float(np.median(wall[i])),
            float(np.median(cpu[i])),
            float(np.median(wall[i] / wall[0])),
            float(np.median(cpu[i] / cpu[0])),
            build[i],
            float(np.mean([np.isin(a, b).mean() for a, b in zip(found[i], found[0], strict=True)])),
        )
        for i, name in enumerate(ways)
    ]


def main() -> None:
    """Read the arguments, measure, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", type=Path, help=".npz with X (n, d) and X_test")
    parser.add_argument("--synthetic", nargs=2, type=int, metavar=("N", "D"))
    parser.add_argument("--rows", type=int, help="take that many training rows only")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--k", type=int, default=200)
    parser.add_argument("--without", nargs="+", choices=EXACT, default=[])
    parser.add_argument("--approximate", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="write machine and timings to this file")
    arguments = parser.parse_args()

    if arguments.data is not None:
        with np.load(arguments.data) as file:
            X, queries = file["X"].astype(np.float32), file["X_test"].astype(np.float32)
    elif arguments.synthetic:
        n, d = arguments.synthetic
        both = synthetic(n + arguments.queries, d, 10)[0]
        X, queries = both[:n], both[n:]
    else:
        digits = load_digits(return_X_y=True)[0].astype(np.float32)
        X, queries = digits[:1297], digits[1297:]
    X, queries = X[: arguments.rows], queries[: arguments.queries]
    facts = describe(Path.cwd(), {"numpy", "scikit-learn", "torch", "faiss-cpu"})
    facts["threads"] = arguments.threads
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    print(f"X {X.shape}, {len(queries)} queries, k = {arguments.k}, {arguments.repeats} repeats")

    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    ways = {name: way for name, way in EXACT.items() if name not in arguments.without}
    with threadpool_limits(arguments.threads):
        ways |= APPROXIMATE if arguments.approximate else {}
        timings = race(X, queries, ways, k=arguments.k, repeats=arguments.repeats)
    print(f"{'search':24}{'wall s':>9}{'CPU s':>9}{'wall':>8}{'CPU':>8}{'build s':>9}{'recall':>9}")
    for row in timings:
        print(
            f"{row.search:24}{row.wall_s:9.3f}{row.cpu_s:9.3f}{row.wall_ratio:8.2f}"
            f"{row.cpu_ratio:8.2f}{row.build_cpu_s:9.2f}{row.recall:9.4f}"
        )
    if arguments.json:
        document = {
            "machine": facts,
            "data": {
                "source": arguments.data.name if arguments.data else "synthetic",
                "shape": X.shape,
            },
            "queries": len(queries),
            "k": arguments.k,
            "timings": [asdict(row) for row in timings],
        }
        arguments.json.write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
