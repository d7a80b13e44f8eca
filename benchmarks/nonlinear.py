"""Time the non-linear probes against the loops that they are usually written as.

    python benchmarks/nonlinear.py features.npz                    # mlp: a grid, and its accuracy
    python benchmarks/nonlinear.py --tokens 2000 256 384 10        # attentive: random tokens

The file holds X (n, d) and y (n,), and X_test and y_test for the accuracy.  All contestants train
the same number of steps on the same batches, in turns, so that a busy machine is busy for all of
them; ratios of CPU times are medians within a repeat.  The loops train head after head: nn.Module,
AdamW, autograd; `AttentionPooling` computes keys and values of every token.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from featstore.presets import PRESETS
from featstore.probes import AttentiveProbe, LogisticProbe, MLPProbe
from featstore.probes.sample_order import SampleOrder

MLP_GRID: Any = PRESETS["mlp"].arguments
CAPI_GRID: Any = PRESETS["capi-attentive"].arguments


class AttentionPooling(nn.Module):
    """Attention pooling as it is usually written."""

    def __init__(self, n_tokens: int, dim: int, n_classes: int) -> None:
        super().__init__()
        self.shape = (n_tokens, dim)
        self.query = nn.Parameter(torch.randn(dim) * 0.02)
        self.keys_and_values, self.linear = nn.Linear(dim, 2 * dim), nn.Linear(dim, n_classes)

    def forward(self, rows: Tensor) -> Tensor:
        """Logits (b, k) of rows (b, t d)."""
        t, d = self.shape
        b, heads = len(rows), d // 64
        both = self.keys_and_values(rows.view(b, t, d)).view(b, t, 2, heads, 64)
        keys, values = both.permute(2, 0, 3, 1, 4)
        query = self.query.expand(b, 1, d).view(b, 1, heads, 64).transpose(1, 2)
        pooled = nn.functional.scaled_dot_product_attention(query, keys, values)
        return self.linear(pooled.transpose(1, 2).reshape(b, d))  # type: ignore[no-any-return]


def loops(
    modules: list[nn.Module], X: NDArray[Any], y: NDArray[Any], *, batch: int, steps: int
) -> None:
    """Train modules one after the other."""
    rows, labels = torch.from_numpy(X), torch.from_numpy(y)
    order = SampleOrder(len(X), batch_size=batch, seed=0)
    for module in modules:
        descent = torch.optim.AdamW(module.parameters(), lr=1e-3)
        for step in range(steps):
            chosen = torch.from_numpy(order.batch(step))
            loss = nn.functional.cross_entropy(module(rows[chosen].float()), labels[chosen])
            descent.zero_grad()
            loss.backward()
            descent.step()


def mlp(X: NDArray[Any], y: NDArray[Any], *, epochs: int) -> dict[str, Callable[[], Any]]:
    """Contestants on vectors: the preset's grid, and its heads in loops."""
    grid = MLPProbe(**MLP_GRID, epochs=epochs)
    k, d = int(y.max()) + 1, X.shape[1]
    steps = epochs * -(-len(X) // grid.batch_size)
    n = len(grid.heads)

    def in_loops() -> None:
        modules: list[nn.Module] = [
            nn.Sequential(nn.Linear(d, head.width), nn.GELU(), nn.Linear(head.width, k))
            for head in grid.heads
        ]
        loops(modules, X, y, batch=grid.batch_size, steps=steps)

    return {
        f"{n} heads in one pass": lambda: list(grid.sweep(X, y, X[:1], range(n))),
        f"{n} loops": in_loops,
    }


def attentive(
    X: NDArray[Any], y: NDArray[Any], *, n_tokens: int, steps: int
) -> dict[str, Callable[[], Any]]:
    """Contestants on tokens: one head, as many as CAPI trains, and one loop."""
    k, d = int(y.max()) + 1, X.shape[1] // n_tokens
    one = AttentiveProbe(n_tokens=n_tokens, steps=steps)
    grid = AttentiveProbe(**CAPI_GRID, n_tokens=n_tokens, steps=steps)
    n = len(grid.heads)
    return {
        "1 head": lambda: one.fit(X, y),
        f"{n} heads in one pass": lambda: list(grid.sweep(X, y, X[:1], range(n))),
        "1 loop": lambda: loops(
            [AttentionPooling(n_tokens, d, k)], X, y, batch=one.batch_size, steps=steps
        ),
    }


def measure(contestants: dict[str, Callable[[], Any]], *, repeats: int) -> None:
    """Run all `repeats` times, in turns, and print CPU seconds and ratios to the first."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, work in contestants.items():
            start = time.process_time()
            work()
            seconds[name].append(time.process_time() - start)
    first = seconds[next(iter(contestants))]
    for name, found in seconds.items():
        ratio = float(np.median(np.divide(found, first)))
        print(f"{name:24} {np.median(found):8.2f} CPU s  {ratio:6.2f}")


def accuracy(file: Any, *, rows: int, epochs: int) -> None:
    """Choose a linear and a non-linear head on a fifth of the rows; print their test accuracy."""
    X, y = file["X"][:rows], file["y"][:rows].astype(np.int64)
    queries, truth = file["X_test"], file["y_test"]
    val = np.arange(len(X)) % 5 == 0
    candidates = (1e-4, 1e-3, 1e-2, 1e-1)
    probes: dict[str, tuple[Any, Any]] = {
        "logistic": (LogisticProbe(), candidates),
        "mlp (non-linear)": (
            MLPProbe(**MLP_GRID, epochs=epochs),
            range(len(PRESETS["mlp"].values)),
        ),
    }
    for name, (probe, values) in probes.items():
        swept = probe.sweep(X[~val], y[~val], X[val], values)
        scores = {value: float((proba.argmax(1) == y[val]).mean()) for value, proba in swept}
        best = max(scores, key=lambda value: scores[value])
        probe.set_params(**{probe.parameter: probe.parameter_type(best)})
        found = float((probe.fit(X, y).predict(queries) == truth).mean())
        print(f"{name:24} {probe.parameter} = {best:g}: {found:.2%} of {len(truth)} test rows")


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", type=Path, help=".npz with X, y, X_test and y_test")
    parser.add_argument("--tokens", nargs=4, type=int, metavar=("N", "T", "D", "K"))
    parser.add_argument("--rows", type=int, default=5000, help="of the file that are used")
    parser.add_argument("--epochs", type=int, default=1, help="of a timed mlp")
    parser.add_argument("--steps", type=int, default=3, help="of a timed attentive probe")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--accuracy-epochs", type=int, default=0, help="also train that long")
    arguments = parser.parse_args()
    if (arguments.data is None) == (arguments.tokens is None):
        parser.error("give either a file or --tokens N T D K")
    torch.set_num_threads(arguments.threads)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, {arguments.threads} threads, "
        f"torch {torch.__version__}"
    )
    with threadpool_limits(arguments.threads):
        if arguments.tokens is not None:
            n, t, d, k = arguments.tokens
            rng = np.random.default_rng(0)
            X = rng.standard_normal((n, t * d), np.float32).astype(np.float16)
            y = rng.integers(k, size=n)
            measure(attentive(X, y, n_tokens=t, steps=arguments.steps), repeats=arguments.repeats)
            return
        with np.load(arguments.data) as file:
            X, y = file["X"][: arguments.rows], file["y"][: arguments.rows].astype(np.int64)
            measure(mlp(X, y, epochs=arguments.epochs), repeats=arguments.repeats)
            if arguments.accuracy_epochs:
                accuracy(file, rows=arguments.rows, epochs=arguments.accuracy_epochs)


if __name__ == "__main__":
    main()
