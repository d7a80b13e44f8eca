"""Kill writers at random moments, resume, and compare with an uninterrupted store.

The test suite does this a few dozen times.  For more:

    python tests/support/kill_writers.py --kills 1000
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import zarr
from numpy.typing import NDArray
from small_store import make_samples, make_spec

from featstore.errors import NotSealedError
from featstore.history import HISTORY
from featstore.store import FeatureStore

ROWS, DIM = 5000, 96


def values() -> NDArray[np.float32]:
    """Return what every writer writes."""
    return np.random.default_rng(7).standard_normal((ROWS, DIM)).astype(np.float32)


def write(path: Path) -> None:
    """Start or resume the feature, slowly enough to be killed anywhere; the child's work."""
    store = FeatureStore.open(path)
    X, spec = values(), make_spec(store.samples, dim=DIM)
    print("writing", flush=True)
    writer = store.writer("x", spec)
    for shard in writer.pending():
        rows = writer.layout.shard_range(shard)
        writer.put(shard, X[rows.start : rows.stop], excluded={7: "torn"} if shard == 0 else None)
        time.sleep(0.002)
    writer.seal()


def tree_digest(path: Path) -> dict[str, str]:
    """Sha256 of every file of a store, the history aside."""
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != HISTORY
    }


def kill_until_done(path: Path, rng: random.Random, limit: int) -> int:
    """Kill writers of one store until it is sealed or `limit` is reached; count the kills."""
    kills = 0
    store = FeatureStore.open(path)
    while True:
        child = subprocess.Popen(
            [sys.executable, __file__, "--write", str(path)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.read(1)  # Python has started; from here on every moment is of interest
        try:
            child.wait(timeout=None if kills >= limit else rng.uniform(0, 0.06))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            kills += 1
        child.stdout.close()
        check_readers(store)
        if child.returncode == 0:
            return kills


def check_readers(store: FeatureStore) -> None:
    """Nobody sees an unfinished row: neither featstore nor a stock reader."""
    folder = (store.path / "features" / "x")
    if not (folder / "zarr.json").exists():
        return
    seen = zarr.open_array(folder, mode="r")
    if seen.shape[0] == 0:
        try:
            store.view("x")
        except NotSealedError:
            return
        raise AssertionError("an unsealed feature could be viewed")
    expected = values().astype(np.float16)
    expected[7] = np.nan
    np.testing.assert_array_equal(seen[:], expected)


def run(folder: Path, kills: int, seed: int = 0) -> int:
    """Kill at least `kills` writers over as many stores as needed; return the number."""
    samples = make_samples(ROWS)
    reference = FeatureStore.create(folder / "reference.zarr", samples)
    write(reference.path)
    wanted = tree_digest(reference.path)
    rng = random.Random(seed)
    done = stores = 0
    while done < kills:
        path = folder / f"{stores}.zarr"
        FeatureStore.create(path, samples)
        done += kill_until_done(path, rng, limit=kills - done)
        stores += 1
        got = tree_digest(path)
        assert got == wanted, sorted(set(got.items()) ^ set(wanted.items()))
    return done


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        write(options.write)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            count = run(Path(scratch), options.kills, options.seed)
        print(f"{count} writers killed; every store came out bit-identical")
