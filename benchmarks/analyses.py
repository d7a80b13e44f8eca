"""Measure the analyses of stored runs at the size of iNat21: CPU time and peak memory.

    python benchmarks/analyses.py                                   # 10,000 classes, 20 runs
    python benchmarks/analyses.py --classes 1000 --rows 50000 --runs 5 --only compare difficulty
    python benchmarks/analyses.py --json results.json

Every analysis gets a process of its own, in which the runs are made first, outside the clock.  They
are decisions without scores: 100,000 rows of 10,000 classes are 4 GB of scores per run.  Classes
differ in difficulty, runs agree on part of it, and three mistakes of four go to a class of the same
family.  What each line does is in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from featstore import analysis
from featstore.class_groups import ClassGroups
from featstore.decisions import Decisions
from featstore.taxonomy import Taxonomy
from store_harness.machine import describe

#: Classes of iNat21 at each level, as Cole et al. (2022) count them.
LEVELS = {
    "species": 10_000,
    "genus": 4884,
    "family": 1103,
    "order": 273,
    "class": 51,
    "phylum": 13,
    "kingdom": 3,
}

Runs = dict[str, Decisions]
Analysis = Callable[[Runs, Taxonomy, ClassGroups], object]


def _each(function: Callable[[Decisions, Taxonomy, ClassGroups], object]) -> Analysis:
    """Do it for every run."""
    return lambda runs, taxonomy, groups: [function(run, taxonomy, groups) for run in runs.values()]


def _pairs(function: Callable[[Decisions, Decisions, Taxonomy, ClassGroups], object]) -> Analysis:
    """Do it for every run against the first."""

    def all_pairs(runs: Runs, taxonomy: Taxonomy, groups: ClassGroups) -> object:
        first, *others = runs.values()
        return [function(first, other, taxonomy, groups) for other in others]

    return all_pairs


ANALYSES: dict[str, Analysis] = {
    "per class": _each(lambda run, _, __: analysis.per_class(run)),
    "averages by group": lambda runs, _, groups: analysis.class_averages(runs, groups),
    "compare": _pairs(lambda a, b, _, __: analysis.changed_classes(analysis.compare(a, b))),
    "gain curve": _pairs(lambda a, b, _, __: analysis.gains(a, b)),
    "gains of groups": _pairs(lambda a, b, _, groups: analysis.group_gains(a, b, groups)),
    "difficulty": _pairs(lambda a, b, _, __: analysis.difficulty(a, b)),
    "granularity": _each(lambda run, taxonomy, _: analysis.granularity(run, taxonomy)),
    "granularity gap": _pairs(lambda a, b, taxonomy, _: analysis.granularity_gap(a, b, taxonomy)),
    "severity": _each(lambda run, taxonomy, _: analysis.severity(run, taxonomy)),
    "confusion": _each(lambda run, _, __: analysis.confusion(run)),
    "siblings": _each(
        lambda run, taxonomy, groups: analysis.kin_confusion(run, taxonomy, groups=groups)
    ),
}


def tree(n_classes: int) -> Taxonomy:
    """Levels with numbers of classes in iNat21's proportions, children dealt out at random."""
    rng = np.random.default_rng(0)
    sizes = [max(round(n * n_classes / LEVELS["species"]), 1) for n in LEVELS.values()]
    names = [[f"{level} {i}" for i in range(n)] for level, n in zip(LEVELS, sizes, strict=True)]
    parents = []
    for fine, coarse in pairwise(sizes):
        # Each coarse class has at least one child.
        dealt = np.concatenate([np.arange(coarse), rng.integers(coarse, size=fine - coarse)])
        parents.append(tuple((int(code),) for code in dealt))
    return Taxonomy(tuple(LEVELS), tuple(map(tuple, names)), tuple(parents))


def runs_of(taxonomy: Taxonomy, *, n_rows: int, n_runs: int) -> Runs:
    """Make runs that are right with the odds of their classes, and else often near."""
    rng = np.random.default_rng(1)
    names = taxonomy.names[0]
    c = len(names)
    ids = np.array([f"{row:07d}.jpg" for row in range(n_rows)])
    truth = np.arange(n_rows) % c
    family = taxonomy.coarsen(names, "family")[1]
    order = np.argsort(family, kind="stable")
    sizes = np.bincount(family)
    starts = np.cumsum(sizes) - sizes
    common = rng.normal(size=c)
    runs = {}
    for run in range(n_runs):
        logit = 0.1 * run / n_runs + common + rng.normal(scale=0.7, size=c)
        right = rng.random(n_rows) < 1 / (1 + np.exp(-logit[truth]))
        of = family[truth]
        near = order[starts[of] + rng.integers(sizes[of])]
        elsewhere = np.where(rng.random(n_rows) < 0.75, near, rng.integers(c, size=n_rows))
        called = np.where(right, truth, elsewhere)
        runs[f"run {run}"] = Decisions(ids, names, truth, called, np.ones(c, bool))
    return runs


def measure_here(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one analysis in this process."""
    taxonomy = tree(options.classes)
    runs = runs_of(taxonomy, n_rows=options.rows, n_runs=options.runs)
    groups = ClassGroups.from_taxonomy(taxonomy, "class", taxonomy.names[0])
    # What libraries import and start at first use is no part of it.
    few = tree(100)
    ANALYSES[name](
        runs_of(few, n_rows=400, n_runs=2),
        few,
        ClassGroups.from_taxonomy(few, "family", few.names[0]),
    )
    before = _peak()
    wall, cpu = time.perf_counter(), time.process_time()
    ANALYSES[name](runs, taxonomy, groups)
    return {
        "analysis": name,
        "cpu_s": round(time.process_time() - cpu, 3),
        "wall_s": round(time.perf_counter() - wall, 3),
        "peak_gb": round(_peak() / 1e9, 3),
        "peak_before_gb": round(before / 1e9, 3),
    }


def _peak() -> int:
    """Most resident memory of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one analysis in a process of its own, on one thread."""
    sizes = [f"--{key}={getattr(options, key)}" for key in ("classes", "rows", "runs")]
    found = subprocess.run(
        [sys.executable, __file__, "--here", name, *sizes],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    row: dict[str, Any] = json.loads(found.stdout)
    return row


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--classes", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=100_000, help="test rows")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", nargs="+", choices=ANALYSES, default=list(ANALYSES))
    parser.add_argument("--json", type=Path, help="write machine and measurements to this file")
    parser.add_argument("--here", choices=ANALYSES, help=argparse.SUPPRESS)
    return parser


def main() -> None:
    """Read the arguments, measure, print a table."""
    options = parser().parse_args()
    if options.here:
        print(json.dumps(measure_here(options.here, options)))
        return
    facts = describe(Path.cwd(), {"numpy", "pandas", "scipy"})
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    print(f"{options.classes:,} classes, {options.rows:,} rows, {options.runs} runs, one thread")
    rows = []
    for name in options.only:
        rows.append(measure(name, options))
        print(
            f"{name:20}{rows[-1]['cpu_s']:9.2f} CPU s{rows[-1]['peak_gb']:8.2f} GB peak", flush=True
        )
    frame = pd.DataFrame(rows)
    print(f"{'all':20}{frame['cpu_s'].sum():9.2f} CPU s{frame['peak_gb'].max():8.2f} GB peak")
    if options.json:
        document = {
            "machine": facts,
            "classes": options.classes,
            "rows": options.rows,
            "runs": options.runs,
            "measurements": rows,
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
