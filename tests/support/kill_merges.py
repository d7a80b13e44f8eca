"""Kill merges at random moments, run them again, and compare with an uninterrupted one.

python tests/support/kill_merges.py --kills 200
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from kill_writers import tree_digest
from small_store import make_samples, make_spec, part

import featstore as fs
from featstore.store import FeatureStore

ROWS, DIM = 6000, 64
CUTS = (0, 777, 2500, ROWS)


def make_parts(folder: Path) -> list[Path]:
    """Create three stores of unequal size, with an unreadable image in each."""
    samples = make_samples(ROWS)
    X = np.random.default_rng(5).standard_normal((ROWS, DIM)).astype(np.float32)
    paths = []
    for start, stop in pairwise(CUTS):
        rows = np.arange(start, stop)
        store = FeatureStore.create(folder / f"part{start}.zarr", part(samples, rows))
        for name, dtype in (("half", "float16"), ("single", "float32")):
            writer = store.writer(name, make_spec(store.samples, dim=DIM, dtype=dtype))
            for shard in writer.pending():
                own = writer.layout.shard_range(shard)
                torn = {5: "torn"} if shard == 0 else None
                writer.put(shard, X[rows[own.start : own.stop]], excluded=torn)
            writer.seal()
        paths.append(store.path)
    return paths


def kill_until_done(parts: list[Path], out: Path, rng: random.Random, limit: int) -> int:
    """Kill merges into one store until it is whole or `limit` is reached; count the kills."""
    kills = 0
    while True:
        command = [sys.executable, __file__, "--out", str(out), *map(str, parts)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.read(1)  # Python has started; from here on every moment is of interest
        try:
            child.wait(timeout=None if kills >= limit else rng.uniform(0, 0.3))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            kills += 1
        child.stdout.close()
        if child.returncode == 0:
            return kills


def run(folder: Path, kills: int, seed: int = 0) -> int:
    """Kill at least `kills` merges, into as many stores as needed; return the number."""
    parts = make_parts(folder)
    wanted = tree_digest(fs.merge(parts, folder / "reference.zarr").store.path)
    rng = random.Random(seed)
    done = stores = 0
    while done < kills:
        out = folder / f"{stores}.zarr"
        done += kill_until_done(parts, out, rng, limit=kills - done)
        stores += 1
        got = tree_digest(out)
        assert got == wanted, sorted(set(got.items()) ^ set(wanted.items()))
    return done


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("parts", nargs="*", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.out:
        print("merging", flush=True)
        fs.merge(options.parts, options.out)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            count = run(Path(scratch), options.kills, options.seed)
        print(f"{count} merges killed; every store came out bit-identical")
