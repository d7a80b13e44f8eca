"""Time exact logistic regression against its peers: to an accuracy, over a grid, many labels.

    python benchmarks/probes.py                                     # digits, for a first look
    python benchmarks/features.py features                          # real features, once
    python benchmarks/probes.py features/lite0_fashion.npz --C 0.01 1 --json out.json
    python benchmarks/probes.py features/dinov2_fashion.npz --C 0.05 --grid
    python benchmarks/probes.py synthetic:50000,384,500 --C 1
    python benchmarks/probes.py features/lite0_fashion.npz --rows 8000 --C --labels
    python benchmarks/probes.py --from out.json --picture docs/images/probes.svg

All run in turns within each repeat, so that a busy machine is busy for all of them.  Peers write
down where they were at what time and are stopped from outside, so that their time to an accuracy is
known without the guess of a tolerance; featstore stops by its own estimate, and its time includes
the decomposition of the features and the certificate.  CPU seconds are those of the process.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

# Before anything loads OpenMP: waiting threads otherwise spin, and their time is counted.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from featstore.race.arrival import Arrival, race
from featstore.race.problem import Problem
from logistic_race import picture
from logistic_race.grid import Work, grid, labels
from logistic_race.peers import peers
from logistic_race.problem import load
from store_harness.machine import describe

_PACKAGES = {"numpy", "scipy", "scikit-learn", "torch"}


def show_arrivals(arrivals: list[Arrival], console: Console) -> None:
    """Print one table per problem: CPU seconds to each accuracy, and the ratio to ours."""
    first = arrivals[0]
    accuracies = list(dict.fromkeys(arrival.accuracy for arrival in arrivals))
    table = Table(title=f"{first.problem}, C = {first.C:g}: CPU s to f ≤ (1 + ε) min f, and ratio")
    table.add_column("solver")
    for accuracy in accuracies:
        table.add_column(f"ε = {accuracy:g}", justify="right")
        table.add_column("wall s", justify="right")
    for solver in dict.fromkeys(arrival.solver for arrival in arrivals):
        cells = []
        for arrival in arrivals:
            if arrival.solver == solver:
                ratio = f"{'' if arrival.arrived else '> '}{arrival.cpu_ratio:.1f}x"
                note = "" if arrival.arrived else f" (at {arrival.reached:.0e})"
                cells += [f"{arrival.cpu_s:.2f}{note}  {ratio}", f"{arrival.wall_s:.2f}"]
        table.add_row(solver, *cells)
    console.print(table)


def show_works(works: list[Work], console: Console) -> None:
    """Print pieces of work, one line per contestant."""
    table = Table("work", "contestant")
    for column in ("CPU s", "ratio", "wall s", "ratio", "worst f / min f - 1"):
        table.add_column(column, justify="right")
    for work in works:
        table.add_row(
            work.work,
            work.contestant,
            f"{work.cpu_s:.2f}",
            f"{work.cpu_ratio:.1f}x",
            f"{work.wall_s:.2f}",
            f"{work.wall_ratio:.1f}x",
            f"{work.worst:.1e}",
        )
    console.print(table)


def parser(names: list[str]) -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "data",
        nargs="?",
        default="digits",
        help="digits, synthetic:N,D,K or an .npz with X and y (benchmarks/features.py)",
    )
    parser.add_argument("--rows", type=int, help="only the first so many")
    parser.add_argument("--C", nargs="*", type=float, default=[0.01, 1.0])
    parser.add_argument("--peers", nargs="*", choices=names, default=names, metavar="PEER")
    parser.add_argument("--grid", action="store_true", help="the values of C of dinov2-logreg")
    parser.add_argument("--labels", action="store_true", help="40 labels at a time")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--budget", type=float, default=300, help="CPU seconds for a peer's run")
    parser.add_argument("--json", type=Path, help="add machine and results to this file")
    parser.add_argument(
        "--from", dest="results", type=Path, help="draw results of earlier runs, measure nothing"
    )
    parser.add_argument("--picture", type=Path, nargs="+", default=[], help="svg or png")
    return parser


def main() -> None:
    """Read the arguments, measure, print tables."""
    known = peers()
    options = parser(list(known)).parse_args()
    if options.results:
        picture.draw(json.loads(options.results.read_text()), options.picture)
        return
    name, X, y = load(options.data)
    X, y = X[: options.rows], y[: options.rows]
    packages = _PACKAGES | ({"scikit-learn-intelex"} if "scikit-learn-intelex" in known else set())
    machine = describe(Path.cwd(), packages)
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print("; ".join(f"{key} {value}" for key, value in machine.items()), markup=False)
    torch.set_num_threads(options.threads)
    result: dict[str, Any] = {
        "data": name,
        "shape": list(X.shape),
        "dtype": str(X.dtype),
        "n_classes": int(y.max()) + 1,
        "threads": options.threads,
        "repeats": options.repeats,
        "load_average": list(os.getloadavg()),
        "arrivals": [],
        "optima": [],
        "works": [],
    }
    with threadpool_limits(options.threads):
        for C in options.C:
            problem = Problem(name, X, y, C)
            chosen = {peer: known[peer] for peer in options.peers}
            arrivals, optimum = race(
                problem, chosen, repeats=options.repeats, budget=options.budget
            )
            show_arrivals(arrivals, console)
            result["arrivals"] += map(asdict, arrivals)
            result["optima"].append({"C": C, **optimum})
            save(options.json, machine, result)
        for wanted, measure in ((options.grid, grid), (options.labels, labels)):
            if wanted:
                works = measure(name, X, y, repeats=options.repeats)
                show_works(works, console)
                result["works"] += map(asdict, works)
                save(options.json, machine, result)


def save(path: Path | None, machine: dict[str, Any], result: dict[str, Any]) -> None:
    """Write the results to a file, in place of earlier ones on the same data and threads."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    document = json.loads(path.read_text()) if path.exists() else {"results": []}
    key = (result["data"], result["shape"], result["threads"])
    others = [r for r in document["results"] if (r["data"], r["shape"], r["threads"]) != key]
    document = {"machine": machine, "results": [*others, result]}
    path.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
