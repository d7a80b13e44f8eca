"""The whole way, on real images: extract, probe, fuse, compare, coarsen, report.

    python examples/demo.py FOLDER

Every step is a featstore command, shown before it runs; copy them for your own images.
"""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

import elpv
from at_hand import SELF_SUPERVISED, SUPERVISED, self_supervised, supervised

from featstore.cli import main
from featstore.store import FeatureStore


def featstore(*arguments: str | Path) -> None:
    """Show a command, then run it."""
    words = [str(argument) for argument in arguments]
    print(f"\n$ featstore {shlex.join(words)}", flush=True)
    try:
        main(words)
    except SystemExit as stop:
        if stop.code:
            raise


def run_demo(folder: Path) -> None:
    """Write the store and the page into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    table, taxonomy = folder / "cells.csv", folder / "taxonomy.csv"
    elpv.cells().to_csv(table, index=False)
    elpv.taxonomy().to_csv(taxonomy, index=False)
    store, page = folder / "cells.zarr", folder / "report.html"

    sources = ["--backbone", supervised(), "--backbone", self_supervised()]
    featstore("extract", table, "--root", elpv.image_root(), *sources, "--out", store)
    for probe in ("logistic", "knn"):
        featstore("probe", store, "--features", SUPERVISED, "--probe", probe)
        featstore("probe", store, "--features", SELF_SUPERVISED, "--probe", probe)
        fused = f"{SUPERVISED},{SELF_SUPERVISED}"
        scaling = ("--scaling", "l2") if probe == "knn" else ()
        featstore("probe", store, "--fuse", fused, "--probe", probe, *scaling)
    featstore("ls", store)

    best, other = best_runs(FeatureStore.open(store))
    featstore("granularity", store, "--taxonomy", taxonomy, "--save", "elpv")
    featstore("per-class", store, "--run", best)
    featstore("compare", store, other, best)
    featstore("verify", store)
    featstore("report", store, "--out", page)


def best_runs(store: FeatureStore) -> tuple[str, str]:
    """Names of the best fused and the best single-backbone run."""
    runs = sorted((store.run(name) for name in store.runs), key=lambda run: -run.accuracy)
    fused = next(run.name for run in runs if len(run.config.features) > 1)
    single = next(run.name for run in runs if len(run.config.features) == 1)
    return fused, single


if __name__ == "__main__":
    started = time.perf_counter()
    run_demo(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
    print(f"\ndone in {time.perf_counter() - started:.0f} s")
