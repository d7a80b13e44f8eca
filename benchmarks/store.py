"""Measure featstore's storage against NumPy's bare files and other formats.

    python benchmarks/store.py                                    # both default matrices
    python benchmarks/store.py --rows 1000000 --repeats 3 --only featstore safetensors HDF5
    python benchmarks/store.py --json results.json --picture docs/images/store.svg
    python benchmarks/store.py --from results.json --picture store.png

What each column means is in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from store_formats import contestants
from store_formats.contract import Format
from store_harness import page_cache, peak_memory, picture, table
from store_harness.machine import describe
from store_harness.operations import COLD, OPERATIONS, WARM
from store_harness.race import Race
from store_harness.workload import Workload

_DEFAULTS = [(300_000, 2048, "float16"), (100_000, 768, "float32")]


def measure(
    workload: Workload, formats: dict[str, Format | Exception], options: argparse.Namespace
) -> dict[str, Any]:
    """Measure everything on one matrix; return its part of the JSON document."""
    say = Console(stderr=True)
    load_before = os.getloadavg()[0]
    with _scratch(options.dir) as folder:
        race = Race(contestants.LIMIT, folder, options.repeats, options.budget)
        X = workload.matrix()
        for name, contestant in formats.items():
            if isinstance(contestant, Exception):
                race.skip(name, "all", contestant)
            else:
                say.log(f"{name}: writing and checking")
                race.enter(contestant, workload, X)
        if contestants.LIMIT not in race.contestants:
            raise SystemExit(f"nothing to compare with: {race.gaps[0]['reason']}")
        say.log("write")
        race.write(X)
        del X
        race.open()
        for operation in WARM:
            say.log(f"{operation}, warm")
            race.read_warm(OPERATIONS[operation])
        # The buffer of "load into" would take the place of files in the page cache.
        for entrant in race.contestants.values():
            entrant.workload.__dict__.pop("out", None)
        gc.collect()
        way = page_cache.drop(race.contestants[contestants.LIMIT].path) if options.cold else None
        if options.cold and way is None:
            race.skip("all", "cold", "nothing here drops files from the page cache")
        for operation in COLD if way else ():
            say.log(f"{operation}, cold")
            race.read_cold(OPERATIONS[operation])
        memory = _memory(race, say) if options.memory else []
    return {
        "shape": [workload.rows, workload.dim],
        "dtype": workload.dtype,
        "nbytes": workload.nbytes,
        "rows": {
            "block": workload.block_rows,
            "gather": len(workload.gathered),
            "batch": workload.batch_rows,
            "batches": sum(map(len, workload.batches)),
            "few batches": sum(map(len, workload.few_batches)),
        },
        "cold": way,
        "load_average": [load_before, *os.getloadavg()],
        "timings": [asdict(timing) for timing in race.timings],
        "memory": memory,
        "gaps": race.gaps,
    }


def _memory(race: Race, say: Console) -> list[dict[str, Any]]:
    """Measure peak memory of every contestant, one process per operation."""
    lines = []
    source = race.contestants[contestants.LIMIT].path / "values"
    for name, contestant in race.contestants.items():
        say.log(f"{name}: peak memory")
        for operation in peak_memory.MEASURED:
            path = contestant.path
            if operation == "write":
                path = Path(tempfile.mkdtemp(dir=race.folder))
            try:
                line = peak_memory.measure(name, operation, path, source, contestant.workload)
                lines.append(asdict(line))
            except (OSError, RuntimeError) as error:
                race.skip(name, f"{operation}, memory", error)
            if operation == "write":
                shutil.rmtree(path)
    return lines


@contextmanager
def _scratch(parent: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=parent, prefix="store-benchmark-") as folder:
        yield Path(folder)


def _load(names: list[str]) -> dict[str, Format | Exception]:
    formats: dict[str, Format | Exception] = {}
    for name in contestants.MODULES:
        if name in (contestants.LIMIT, *names):
            try:
                formats[name] = contestants.load(name)
            except ImportError as error:
                formats[name] = error
    return formats


def _workloads(options: argparse.Namespace) -> list[Workload]:
    rows, dim, dtype = options.rows, options.dim, options.dtype
    matrices = _DEFAULTS
    if rows or dim or dtype:
        first = _DEFAULTS[0]
        matrices = [(rows or first[0], dim or first[1], dtype or first[2])]
    return [Workload(*m, options.block, options.batch, options.batches) for m in matrices]


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, help="of one matrix instead of the default two")
    parser.add_argument("--dim", type=int)
    parser.add_argument("--dtype", choices=["float16", "float32"])
    names = [name for name in contestants.MODULES if name != contestants.LIMIT]
    parser.add_argument(
        "--only",
        nargs="+",
        choices=names,
        default=names,
        metavar="FORMAT",
        help=f"formats to compare with numpy: {', '.join(names)}",
    )
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument(
        "--budget",
        type=float,
        default=10,
        help="seconds after which a format has no more turns at an operation",
    )
    parser.add_argument("--block", type=int, default=4096, help="rows of a block of a scan")
    parser.add_argument("--batch", type=int, default=1024, help="rows of a shuffled batch")
    parser.add_argument("--batches", type=int, default=60, help="number of batches")
    parser.add_argument("--dir", type=Path, help="scratch folder on the medium to measure")
    parser.add_argument(
        "--cold",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also read files that are not in the page cache",
    )
    parser.add_argument(
        "--memory",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also measure peak memory",
    )
    parser.add_argument("--json", type=Path, help="write machine and results to this file")
    parser.add_argument(
        "--picture",
        type=Path,
        nargs="+",
        default=[],
        help="draw the first matrix to these files (svg, png)",
    )
    parser.add_argument(
        "--from",
        dest="results",
        type=Path,
        help="show results of an earlier --json instead of measuring",
    )
    return parser


def main() -> None:
    """Read the arguments, measure, print tables."""
    options = parser().parse_args()
    if options.results:
        document = json.loads(options.results.read_text())
    else:
        formats = _load(options.only)
        loaded = [f for f in formats.values() if not isinstance(f, Exception)]
        packages = {package for contestant in loaded for package in contestant.packages}
        with _scratch(options.dir) as folder:
            machine = describe(folder, packages)
        document = {"machine": machine, "repeats": options.repeats, "results": []}
        for workload in _workloads(options):
            document["results"].append(measure(workload, formats, options))
            if options.json:  # at once: the next matrix may take long
                options.json.parent.mkdir(parents=True, exist_ok=True)
                options.json.write_text(json.dumps(document, indent=1) + "\n")
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    facts = (f"{key} {value}" for key, value in document["machine"].items())
    console.print("; ".join(facts), markup=False)
    for result in document["results"]:
        table.show(result, console)
    if options.picture:
        picture.draw(document["results"][0], options.picture)


if __name__ == "__main__":
    main()
