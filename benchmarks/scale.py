"""Time what grows with the number of images and of shards: the row table, commits, the seal.

    python benchmarks/scale.py --rows 1000000 --shards 2000
    python benchmarks/scale.py --folder /mnt/disk --json out.json

docs/scale.md reckons with these numbers.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from featstore.commits import MANIFEST
from featstore.samples import Samples
from featstore.spec import FeatureSpec
from featstore.store import FeatureStore
from simulated_device import SimulatedDevice
from store_harness.machine import describe


def row_table(scratch: Path, rows: int) -> dict[str, float]:
    """Create a store of so many samples with ids of 39 characters, and open it again."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ids = np.asarray([f"class_{row % 1000:04d}/{row:024d}.jpg" for row in range(rows)])
    began = time.perf_counter()
    samples = Samples(ids, np.full(rows, "train"), marks=np.arange(rows, dtype=np.uint64))
    store = FeatureStore.create(scratch / "rows.zarr", samples)
    created = time.perf_counter()
    seen = FeatureStore.open(store.path).samples.ids[-1]
    opened = time.perf_counter()
    assert seen == ids[-1]
    disk = sum(file.stat().st_size for file in store.path.rglob("*") if file.is_file())
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    return {
        "create, us/row": 1e6 * (created - began) / rows,
        "open and read ids, us/row": 1e6 * (opened - created) / rows,
        "disk, bytes/row": disk / rows,
        "ids in memory, bytes/row": ids.nbytes / rows,
        "peak, bytes/row": peak / rows,
    }


def commits(scratch: Path, shards: int) -> dict[str, float]:
    """Commit small shards one after the other, find the pending ones, seal."""
    dim = 16
    rows = shards * 256
    while True:  # the layout has a mind of its own
        samples = Samples(np.asarray([str(row) for row in range(rows)]), np.full(rows, ""))
        store = FeatureStore.create(scratch / f"{rows}.zarr", samples)
        device: Any = SimulatedDevice(1, dim=dim)
        spec = FeatureSpec(
            backbone=device.spec,
            transform=device.transform,
            dtype="float16",
            numerics="fp32",
            samples_digest=samples.digest,
        )
        writer = store.writer("x", spec)
        if writer.layout.n_shards >= shards:
            break
        rows = shards * writer.layout.shard_rows
    block = np.ones((writer.layout.shard_rows, dim), np.float32)
    began = time.perf_counter()
    for shard in range(shards):
        writer.claim(shard)
        writer.put(shard, block[: len(writer.layout.shard_range(shard))], wait=False)
    writer.flush()
    written = time.perf_counter()
    writer.pending()
    looked = time.perf_counter()
    for shard in range(shards, writer.layout.n_shards):
        writer.put(shard, block[: len(writer.layout.shard_range(shard))])
    sealing = time.perf_counter()
    writer.seal()
    sealed = time.perf_counter()
    return {
        "commits/s": shards / (written - began),
        "look for pending, us/shard": 1e6 * (looked - written) / shards,
        "seal, us/shard": 1e6 * (sealed - sealing) / writer.layout.n_shards,
        "manifest, bytes/shard": (writer.folder.size(MANIFEST) or 0) / writer.layout.n_shards,
    }


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="a disk to do it on")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        scratch = Path(temporary)
        facts = describe(scratch, {"numpy", "zarr"})
        print("; ".join(f"{key} {value}" for key, value in facts.items()))
        found = row_table(scratch, arguments.rows) | commits(scratch, arguments.shards)
    for key, value in found.items():
        print(f"{key:30}{value:12.2f}")
    if arguments.json:
        document = {"machine": facts, "rows": arguments.rows, "scale": found}
        arguments.json.write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
