"""What the engines of extraction cost: this process against one worker process, and one Ray actor.

    python benchmarks/extract_engines.py IMAGES --images 1024 --repeats 3
    python benchmarks/extract_engines.py IMAGES --backbone lite0 --rate 400 --json out.json

All compute on the same number of threads, one after the other, in an order that changes with each
repeat.  Whoever computes notes the time after every batch: the steady rate is that from the end of
the first batch to the end of the last, without what an engine takes to start.  CPU seconds are
those of the process that computes; those of all others of the engine (the driver, Ray's own
processes) are shown beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from extract import backbone
from extract_contestants import clean, link_images
from featstore.cores import available_cores
from featstore.crewed_extraction import extract_with_crew
from featstore.datasets import ImageFolder
from featstore.encoding_line import ExtractionSettings
from featstore.feature_extraction import extract_here
from featstore.store import FeatureStore
from noting_encoder import load_noting
from store_harness.machine import describe

ENGINES = ("inline", "processes", "ray")
TICKS = os.sysconf("SC_CLK_TCK")


def tree_cpu() -> dict[int, float]:
    """CPU seconds of this process and of all below it, by process."""
    parents, cpu = {}, {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        process = int(entry.parent.name)
        parents[process] = int(fields[1])
        cpu[process] = (int(fields[11]) + int(fields[12])) / TICKS
    ours = {os.getpid()}
    while found := {p for p, parent in parents.items() if parent in ours} - ours:
        ours |= found
    return {process: cpu[process] for process in ours}


def run(engine: str, folder: Path, scratch: Path, load_in: Any, threads: int) -> dict[str, float]:
    """Extract once; return steady rates."""
    dataset = ImageFolder.scan(folder, unlabelled=True)
    log = scratch / "log"
    log.unlink(missing_ok=True)
    settings = ExtractionSettings(batch_size=32, workers=threads)
    with clean(scratch / "run") as place:
        store = FeatureStore.create(place / "s.zarr", dataset.samples, source=dataset.source)
        before, began = tree_cpu(), time.perf_counter()
        if engine == "inline":
            encoders = load_in(log, "cpu", threads)
            extract_here(dataset, encoders, store, settings, progress=False)
        else:
            extract_with_crew(
                dataset,
                partial(load_in, log),
                store,
                settings,
                engine=engine,  # type: ignore[arg-type]
                processes=1,
                device="cpu",
                progress=False,
            )
        wall, after = time.perf_counter() - began, tree_cpu()
    lines = np.loadtxt(log)
    images = lines[1:, 3].sum()
    others = sum(after[p] - before.get(p, 0.0) for p in after if p != int(lines[0, 0]))
    return {
        "steady images/s": images / (lines[-1, 1] - lines[0, 1]),
        "CPU ms/image": 1000 * (lines[-1, 2] - lines[0, 2]) / images,
        "others' CPU ms/image": 1000 * others / images,
        "start, s": wall - (lines[-1, 1] - lines[0, 1]),
    }


def main() -> None:
    """Read the arguments, measure, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="IMAGES")
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--backbone", help="one of extract.py's [default: a simulated device]")
    parser.add_argument("--rate", type=float, default=200.0, help="of the simulated device")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    facts = describe(Path.cwd(), {"torch", "ray", "pillow"})
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    # For the workers, which import this module.
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    )
    import ray

    ray.init(
        num_cpus=arguments.threads,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    source = backbone(arguments.backbone)[0] if arguments.backbone else ""
    load_in = partial(load_noting, source, arguments.rate)
    found: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
    with tempfile.TemporaryDirectory() as temporary:
        scratch, folder = Path(temporary), Path(temporary) / "images"
        link_images(arguments.folder, folder, arguments.images)
        for repeat in range(arguments.repeats):
            for engine in np.random.default_rng(repeat).permutation(ENGINES).tolist():
                found[engine].append(run(engine, folder, scratch, load_in, arguments.threads))
    for engine, runs in found.items():
        print(f"\n{engine}")
        for key in runs[0]:
            print(f"{key:26}{np.median([one[key] for one in runs]):12.3f}")
        key = "steady images/s"
        ratio = [a[key] / b[key] for a, b in zip(found["inline"], runs, strict=True)]
        print(
            f"{'inline / this, steady':26}{np.median(ratio):12.3f}  {np.round(ratio, 3).tolist()}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": facts, "engines": found}, indent=2))


if __name__ == "__main__":
    main()
