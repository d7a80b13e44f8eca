"""Measure the page of many runs: time, peak memory and size.

    python benchmarks/report.py                             # 20 runs, 1,000 classes, 10,000 rows
    python benchmarks/report.py --runs 5 --classes 100 --rows 2000 --out page.html
    python benchmarks/report.py --json results.json

A store with stored runs is made first, outside the clock; classes differ in difficulty, runs agree
on part of it.  Then the page is written by a process of its own, on one thread: the seconds of the
call, and those of the whole process, imports included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from featstore.history import environment
from featstore.metrics import evaluate_metrics
from featstore.predictions import Predictions
from featstore.run import ProbeRun
from featstore.run_config import RunConfig
from featstore.samples import Samples, Target
from featstore.spec import BackboneSpec, FeatureSpec
from featstore.store import FeatureStore
from featstore.transform import Transform
from store_harness.machine import describe

import pandas as pd  # isort: skip

CANDIDATES = [0.01, 0.1, 1.0, 10.0, 100.0]


def make_store(path: Path, *, n_runs: int, n_classes: int, n_rows: int) -> FeatureStore:
    """Make a store with runs of as many features; of each row the scores of a hard problem."""
    rng = np.random.default_rng(0)
    names = [f"class {code:05d}" for code in range(n_classes)]
    truth = np.arange(n_rows) % n_classes
    samples = Samples(
        ids=np.asarray([f"{names[code]}/{row:07d}.jpg" for row, code in enumerate(truth)]),
        splits=np.asarray(["test"] * n_rows),
        targets={"species": Target.from_labels([names[code] for code in truth])},
    )
    store = FeatureStore.create(path, samples)
    common = rng.normal(size=n_classes)
    for i in range(n_runs):
        feature = f"backbone{i:02d}"
        spec = FeatureSpec(
            BackboneSpec("made/up", "made/up", "none", f"{i:064x}", "penultimate", "none", 8),
            Transform(),
            "float16",
            "fp32",
            samples.digest,
        )
        writer = store.writer(feature, spec)
        for shard in writer.pending():
            rows = writer.layout.shard_range(shard)
            writer.put(shard, np.zeros((rows.stop - rows.start, 8), np.float16))
        writer.seal()
        ease = 3 + 0.05 * i + common + rng.normal(scale=0.7, size=n_classes)
        scores = rng.normal(size=(n_rows, n_classes)).astype(np.float32)
        scores[np.arange(n_rows), truth] += ease[truth]
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        predictions = Predictions(
            store.samples.ids,
            store.samples.targets["species"].classes,
            store.samples.targets["species"].codes,
            scores,
            np.ones(n_classes, bool),
        )
        config = RunConfig(
            features=(feature,),
            spec_digests=(spec.digest,),
            dims=(8,),
            target="species",
            probe="logistic",
            preset="logistic",
            parameter="C",
            value=1.0,
            selected_on="20% of train",
            scaling="none",
            train_split="train",
            test_split="test",
            n_train=10 * n_rows,
            n_test=n_rows,
            seed=0,
        )
        selection = pd.DataFrame(
            {
                "value": CANDIDATES,
                "score": np.linspace(0.5, 0.7, len(CANDIDATES)),
                "chosen": [value == config.value for value in CANDIDATES],
            }
        )
        store.save_run(
            ProbeRun(
                name=f"logistic-{feature}",
                config=config,
                predictions=predictions,
                metrics=evaluate_metrics(predictions, n_boot=50),
                selection=selection,
                certificate={},
                head=None,
                provenance=environment(),
            )
        )
    return store


def measure_here(store: str, out: str) -> dict[str, Any]:
    """Write the page in this process."""
    from featstore.html_report import report

    opened = FeatureStore.open(store)
    wall, cpu = time.perf_counter(), time.process_time()
    page = report(opened, out)
    return {
        "wall_s": round(time.perf_counter() - wall, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
        "peak_gb": round(_peak() / 1e9, 2),
        "page_mb": round(page.stat().st_size / 1e6, 3),
    }


def _peak() -> int:
    """Most resident memory of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=10_000, help="test rows")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--store", type=Path, help="made here if it is not there, and kept")
    parser.add_argument("--out", type=Path, help="keep the page")
    parser.add_argument("--json", type=Path, help="write machine and measurements to this file")
    parser.add_argument("--here", nargs=2, help=argparse.SUPPRESS)
    return parser


def main() -> None:
    """Read the arguments, make the store, measure, print."""
    options = parser().parse_args()
    if options.here:
        print(json.dumps(measure_here(*options.here)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = options.store or Path(scratch) / "many.zarr"
        if not path.exists():
            make_store(path, n_runs=options.runs, n_classes=options.classes, n_rows=options.rows)
        out = options.out or Path(scratch) / "page.html"
        rows = []
        for _ in range(options.repeats):
            start = time.perf_counter()
            found = subprocess.run(
                [sys.executable, __file__, "--here", str(path), str(out)],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            rows.append({**json.loads(found.stdout), "process_s": time.perf_counter() - start})
    facts = describe(Path.cwd(), {"matplotlib", "numpy", "pandas", "zarr"})
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    print(f"{options.runs} runs, {options.classes:,} classes, {options.rows:,} rows, one thread")
    frame = pd.DataFrame(rows)
    print(frame.round(2).to_string(index=False))
    print("medians: " + ", ".join(f"{k} {v:.2f}" for k, v in frame.median().items()))
    if options.json:
        sizes = {key: getattr(options, key) for key in ("runs", "classes", "rows")}
        document = {"machine": facts, **sizes, "measurements": frame.round(3).to_dict("records")}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
