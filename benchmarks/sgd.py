"""Time SGDProbe against the loops that linear evaluation is usually written as.

    python benchmarks/sgd.py features.npz                         # peers, then 1, 13, 39 heads
    python benchmarks/sgd.py features.npz --epochs 3 --repeats 5 --threads 1 --json out.json
    python benchmarks/sgd.py --synthetic 60000 1280 10            # where no features are at hand
    python benchmarks/sgd.py --synthetic 1281167 2048 1000 --device cuda --products float16 \\
        --epochs 90 --repeats 3                                   # a whole training, ImageNet size

The file holds X (n, d) and y (n,).  On a CPU all train `--epochs` epochs of the linear evaluation
of Cole et al. 2022 (batch 1024, Nesterov, cosine) from the same weights on the same batches, in
turns, so that a busy machine is busy for all of them.  Times are per epoch; ratios are medians of
the ratios within a repeat.  The difference is that of the weights to torch's, in units of their
largest; where features are long vectors and the learning rate is high, trainings are chaotic, and
torch in float32 is as far from torch in float64, which is printed too.  --normalise gives rows
length 1.
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

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import SGDClassifier
from threadpoolctl import threadpool_limits
from torch.utils.data import DataLoader, TensorDataset

from featstore.probes import SGDProbe, fit_together
from featstore.probes.initial_weights import initial_weights
from featstore.probes.sample_order import SampleOrder
from store_harness.machine import describe

OURS = "featstore"
LOADER = "DataLoader + nn.Linear"
HEADS = (1, 13, 39)
BATCH, LR = 1024, 0.4

Data = tuple[NDArray[Any], NDArray[np.int64]]


@dataclass(frozen=True)
class Timing:
    """One contestant.

    Ratios are relative to the first contestant of its table, above 1 where that one is faster;
    `difference` is None where other batches are seen.
    """

    contestant: str
    wall_ms: float
    cpu_ms: float
    wall_ratio: float
    cpu_ratio: float
    difference: float | None = None


class Given:
    """A sampler that gives the batches of an order."""

    def __init__(self, order: SampleOrder, steps: range) -> None:
        self._order, self._steps = order, steps

    def __iter__(self) -> Any:
        return (self._order.batch(step).tolist() for step in self._steps)

    def __len__(self) -> int:
        return len(self._steps)


def torch_loop(
    X: torch.Tensor,
    y: torch.Tensor,
    *,
    epochs: int,
    loader: bool,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Train as linear evaluations do: by autograd, on batches of a DataLoader or on X[rows]."""
    order = SampleOrder(len(X), batch_size=BATCH, seed=0)
    model = torch.nn.Linear(X.shape[1], int(y.max()) + 1, dtype=dtype)
    start = initial_weights(
        "normal", n_columns=model.out_features, dim=X.shape[1], std=0.01, seed=0
    )
    with torch.no_grad():
        model.weight.copy_(start[:, :-1])
        model.bias.copy_(start[:, -1])
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * order.steps_per_epoch)
    for epoch in range(epochs):
        steps = range(epoch * order.steps_per_epoch, (epoch + 1) * order.steps_per_epoch)
        batches: Any = (
            DataLoader(TensorDataset(X, y), batch_sampler=Given(order, steps))
            if loader
            else ((X[rows], y[rows]) for rows in map(torch.from_numpy, map(order.batch, steps)))
        )
        for rows, labels in batches:
            loss = torch.nn.functional.cross_entropy(model(rows.to(dtype)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.weight.detach()


def peers(data: Data, epochs: int) -> dict[str, Callable[[], Any]]:
    """Name the contestants: functions that train for some epochs and return weights."""
    X, y = data
    rows, labels = torch.from_numpy(X), torch.from_numpy(y)
    wide = X.astype(np.float32)  # scikit-learn knows no float16
    return {
        OURS: lambda: torch.from_numpy(SGDProbe(LR, epochs=epochs).fit(X, y).coef_),
        LOADER: lambda: torch_loop(rows, labels, epochs=epochs, loader=True),
        "X[rows] + nn.Linear": lambda: torch_loop(rows, labels, epochs=epochs, loader=False),
        "sklearn SGDClassifier": lambda: SGDClassifier(
            loss="log_loss", max_iter=epochs, tol=None
        ).fit(wide, y),
    }


def rounding(data: Data, epochs: int) -> float:
    """How far torch's weights in float32 are from those in float64, as the differences are."""
    X, y = map(torch.from_numpy, data)
    single = torch_loop(X, y, epochs=epochs, loader=False)
    double = torch_loop(X, y, epochs=epochs, loader=False, dtype=torch.float64)
    return float((single - double).abs().max() / double.abs().max())


def many_heads(data: Data, epochs: int) -> dict[str, Callable[[], Any]]:
    """Trainings of 1, 13 and 39 heads in one pass."""

    def training(heads: int) -> Callable[[], Any]:
        lrs = np.geomspace(1e-3, LR, heads) if heads > 1 else [LR]
        return lambda: fit_together([SGDProbe(lr, epochs=epochs) for lr in lrs], *data)

    return {f"{heads} heads": training(heads) for heads in HEADS}


def measure(
    contestants: dict[str, Callable[[], Any]], *, epochs: int, repeats: int
) -> list[Timing]:
    """Run all `repeats` times, in turns."""
    walls: dict[str, list[float]] = {name: [] for name in contestants}
    cpus: dict[str, list[float]] = {name: [] for name in contestants}
    results = {}
    for _ in range(repeats):
        for name, work in contestants.items():
            wall, cpu = time.perf_counter(), time.process_time()
            results[name] = work()
            cpus[name].append((time.process_time() - cpu) / epochs)
            walls[name].append((time.perf_counter() - wall) / epochs)
    first = next(iter(contestants))
    reference = results.get(LOADER)
    return [
        Timing(
            contestant=name,
            wall_ms=1e3 * float(np.median(walls[name])),
            cpu_ms=1e3 * float(np.median(cpus[name])),
            wall_ratio=float(np.median(np.divide(walls[name], walls[first]))),
            cpu_ratio=float(np.median(np.divide(cpus[name], cpus[first]))),
            difference=None
            if reference is None or not isinstance(results[name], torch.Tensor)
            else float((results[name] - reference).abs().max() / reference.abs().max()),
        )
        for name in contestants
    ]


def whole_training(data: Data, arguments: argparse.Namespace) -> list[Timing]:
    """Time complete fits, with the copy of the features to the device."""
    probe = SGDProbe(
        LR, epochs=arguments.epochs, device=arguments.device, products=arguments.products
    )
    contestants = {f"{arguments.epochs} epochs, {arguments.products}": lambda: probe.fit(*data)}
    return measure(contestants, epochs=1, repeats=arguments.repeats)


def synthetic(n: int, d: int, k: int) -> Data:
    """Class means plus noise, float16, made in pieces."""
    rng = np.random.default_rng(0)
    y = rng.integers(k, size=n)
    means = rng.normal(size=(k, d)).astype(np.float32)
    X = np.empty((n, d), np.float16)
    for start in range(0, n, 1 << 14):
        part = slice(start, start + (1 << 14))
        X[part] = 0.3 * means[y[part]] + rng.standard_normal((len(y[part]), d), np.float32)
    return X, y


def main() -> None:
    """Read the arguments, measure, print tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", type=Path, help=".npz with X (n, d) and y (n,)")
    parser.add_argument("--synthetic", nargs=3, type=int, metavar=("N", "D", "K"))
    parser.add_argument("--normalise", action="store_true", help="divide rows by their norm first")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--whole", action="store_true", help="time complete fits; always on CUDA")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--products", choices=["float32", "float16"], default="float32")
    parser.add_argument("--json", type=Path, help="write machine and timings to this file")
    arguments = parser.parse_args()
    if (arguments.data is None) == (arguments.synthetic is None):
        parser.error("give either a file or --synthetic N D K")
    if arguments.data is None:
        X, y = synthetic(*arguments.synthetic)
    else:
        with np.load(arguments.data) as file:
            X, y = file["X"], file["y"].astype(np.int64)
    if arguments.normalise:
        X = (X / np.linalg.norm(X.astype(np.float32), axis=1, keepdims=True)).astype(X.dtype)
    facts = describe(Path.cwd(), {"numpy", "scikit-learn", "torch"})
    facts["threads"] = arguments.threads
    facts["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    print(f"X {X.shape} {X.dtype}, {len(np.unique(y))} classes, {arguments.repeats} repeats")

    torch.set_num_threads(arguments.threads)
    timings, far = {}, None
    options = {"epochs": arguments.epochs, "repeats": arguments.repeats}
    with threadpool_limits(arguments.threads):
        if arguments.whole or arguments.device == "cuda":
            timings["whole training"] = whole_training((X, y), arguments)
        else:
            timings["peers"] = measure(peers((X, y), arguments.epochs), **options)
            far = rounding((X, y), arguments.epochs)
            print(f"torch in float32 differs from torch in float64 by {far:.1e}")
            timings["heads"] = measure(many_heads((X, y), arguments.epochs), **options)
    for title, rows in timings.items():
        print(f"\n{title:24} {'wall ms':>10} {'ratio':>7} {'CPU ms':>10} {'ratio':>7} {'diff':>8}")
        for row in rows:
            difference = "" if row.difference is None else f"{row.difference:8.1e}"
            print(
                f"{row.contestant:24} {row.wall_ms:10.1f} {row.wall_ratio:7.2f} "
                f"{row.cpu_ms:10.1f} {row.cpu_ratio:7.2f} {difference}"
            )
    if arguments.json:
        document = {
            "machine": facts,
            "data": {
                "source": arguments.data.name if arguments.data else "synthetic",
                "shape": X.shape,
                "dtype": str(X.dtype),
                "classes": len(np.unique(y)),
                "normalised": arguments.normalise,
            },
            "epochs": arguments.epochs,
            "repeats": arguments.repeats,
            "torch_float32_to_float64": far,
            "timings": {title: [asdict(row) for row in rows] for title, rows in timings.items()},
        }
        arguments.json.write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
