"""What ways of decoding cost, and what they do to pixels, features and a probe.

    python benchmarks/decoding.py IMAGES
    python benchmarks/decoding.py IMAGES --enlarge 3 --images 200 --json out.json

IMAGES is a folder train/class/… and test/class/….  benchmarks/README.md says what is measured.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

import featstore as fs
from extract import backbone
from featstore.preparation import Preparation, prepare
from featstore.transform import Decode, Transform
from store_harness.machine import describe

WAYS: tuple[Decode, ...] = ("exact", "fast", "dct")


def copies(folder: Path, target: Path, *, most: int, factor: int) -> list[Path]:
    """Link every so many photos below `target`, or write them enlarged."""
    files = sorted(folder.glob("*/*/*.jpg"))
    chosen = [
        files[i]
        for i in np.unique(np.linspace(0, len(files) - 1, min(most, len(files))).astype(int))
    ]
    written = []
    for file in chosen:
        copy = target / file.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if factor == 1:
            copy.symlink_to(file.resolve())
        else:
            image = Image.open(file).convert("RGB")
            size = (factor * image.width, factor * image.height)
            image.resize(size, Image.Resampling.LANCZOS).save(copy, quality=92)
        written.append(copy)
    return written


def pixels(files: list[Path], repeats: int) -> dict[str, dict[str, float]]:
    """Prepare all files in every way, in turns."""
    ways = {way: Preparation(Transform(decode=way)) for way in WAYS}
    place = np.empty((224, 224, 3), np.uint8)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    contents = [file.read_bytes() for file in files]
    for _ in range(repeats):
        for way, preparation in ways.items():
            start = time.process_time()
            for content in contents:
                prepare(content, "", {preparation: place})
            seconds[way].append((time.process_time() - start) / len(files))
    greatest, total = dict.fromkeys(WAYS, 0), dict.fromkeys(WAYS, 0.0)
    for content in contents:
        places = {one: np.empty((224, 224, 3), np.uint8) for one in ways.values()}
        prepare(content, "", places)
        exact = places[ways["exact"]].astype(int)
        for way, preparation in ways.items():
            difference = np.abs(places[preparation] - exact)
            greatest[way] = max(greatest[way], int(difference.max()))
            total[way] += float(difference.mean())
    exact_seconds = np.asarray(seconds["exact"])
    return {
        way: {
            "CPU ms": 1000 * float(np.median(seconds[way])),
            "rate": float(np.median(exact_seconds / np.asarray(seconds[way]))),
            "greatest pixel difference": greatest[way],
            "mean pixel difference": total[way] / len(files),
        }
        for way in WAYS
    }


def features(folder: Path, scratch: Path, name: str) -> dict[str, dict[str, float]]:
    """Extract in every way; compare features, and a probe's accuracy on the test split."""
    source, _ = backbone(name)
    lines, exact = {}, None
    for way in WAYS:
        store = fs.extract(
            folder,
            [f"x={source}"],
            scratch / f"{name}-{way}.zarr",
            numerics="fast",
            decode=way,
            dtype="float32",
            progress=False,
        ).store
        X, y = {}, {}
        for split in ("train", "test"):
            view = store.view("x", split=split)
            X[split] = normalize(view.load().astype(np.float64))
            y[split] = np.asarray([str(one).split("/")[1] for one in view.ids])
        together = np.concatenate([X["train"], X["test"]])
        exact = together if exact is None else exact
        distance = 1 - (together * exact).sum(1)
        probe = LogisticRegression(C=100, max_iter=2000).fit(X["train"], y["train"])
        lines[way] = {
            "1 - cosine, greatest": max(float(distance.max()), 0.0),
            "1 - cosine, median": max(float(np.median(distance)), 0.0),
            "accuracy": float(probe.score(X["test"], y["test"])),
        }
    return lines


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="IMAGES")
    parser.add_argument("--images", type=int, default=10**9)
    parser.add_argument("--enlarge", type=int, default=1, help="photos by this factor")
    parser.add_argument("--backbone", nargs="*", default=["lite0", "dinov2"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    facts = describe(Path.cwd(), {"torch", "pillow", "onnxruntime", "openvino"})
    document: dict[str, Any] = {"machine": facts, "enlarged": arguments.enlarge}
    with tempfile.TemporaryDirectory() as temporary:
        photos, scratch = Path(temporary) / "photos", Path(temporary)
        files = copies(arguments.folder, photos, most=arguments.images, factor=arguments.enlarge)
        document["images"] = len(files)
        document["pixels"] = pixels(files[::4], arguments.repeats)
        document["features"] = {
            name: features(photos, scratch, name) for name in arguments.backbone
        }
    print(json.dumps(document, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
