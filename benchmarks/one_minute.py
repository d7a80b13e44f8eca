"""How much of a run a device is busy, start-up and end included: one process from begin to end.

    python benchmarks/one_minute.py IMAGES --rate 400
    python benchmarks/one_minute.py IMAGES --rate 200 --seconds 20 --json out.json

A device that needs no core and takes 1 / rate seconds for an image gets as many images as keep it
busy for a minute.  As CUDA devices do, it takes a batch while it computes the one before; with
``--one-at-a-time`` only when the features of the one before were fetched.  The clock runs from
before the interpreter starts until the process has ended: imports, the list of images, the row
table, the first batch, the last shard and the seal count, the weights of a network do not.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import json
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from store_harness.machine import describe


def link_repeatedly(source: Path, target: Path, count: int) -> None:
    """Link images under as many names as wanted, a thousand in a folder."""
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    for i, path in enumerate(islice(cycle(found), count)):
        link = target / f"{i // 1000:03d}" / f"{i:06d}{path.suffix}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())


def extract(folder: Path, scratch: Path, *, rate: float, ahead: int, batch: int) -> None:
    """Be the process that is measured; prints how long its device was busy."""
    from featstore.datasets import ImageFolder
    from featstore.feature_extraction import extract_features
    from featstore.store import FeatureStore
    from simulated_device import SimulatedDevice

    atexit.register(gc.freeze)  # as the command `featstore` does
    device = SimulatedDevice(rate, ahead=ahead)
    dataset = ImageFolder.scan(folder, unlabelled=True)
    store = FeatureStore.create(scratch / "s.zarr", dataset.samples, source=dataset.source)
    extract_features(dataset, {"x": device}, store, batch_size=batch, progress=False)
    print(json.dumps({"busy_s": device.busy_s, "steady": device.steady_share}))


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="IMAGES")
    parser.add_argument("--rate", type=float, default=400.0)
    parser.add_argument("--seconds", type=float, default=60.0, help="that the device is busy")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--one-at-a-time", action="store_true", help="batches")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measured", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    ahead = 0 if arguments.one_at_a_time else 1
    if arguments.measured:
        extract(
            arguments.folder,
            arguments.measured,
            rate=arguments.rate,
            ahead=ahead,
            batch=arguments.batch_size,
        )
        return
    facts = describe(Path.cwd(), {"torch", "pillow"})
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    images = round(arguments.rate * arguments.seconds)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "images"
        link_repeatedly(arguments.folder, folder, images)
        command = [sys.executable, __file__, str(folder), "--rate", str(arguments.rate)]
        command += ["--batch-size", str(arguments.batch_size), "--measured", temporary]
        command += ["--one-at-a-time"] * arguments.one_at_a_time
        began = time.perf_counter()
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        wall = time.perf_counter() - began
    found = json.loads(done.stdout)
    line = {
        "rate": arguments.rate,
        "images": images,
        "batches ahead": ahead,
        "seconds": wall,
        "steady": found["steady"],
        "of the whole run": found["busy_s"] / wall,
    }
    for key, value in line.items():
        print(f"{key:20}{value:12.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": facts, "minute": line}, indent=2))


if __name__ == "__main__":
    main()
