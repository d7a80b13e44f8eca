"""What ways of decoding cost, and what they do to pixels, features and a probe.

    python benchmarks/decoding.py IMAGES
    python benchmarks/decoding.py IMAGES --enlarge 3 --images 200 --json out.json
    python benchmarks/decoding.py IMAGES --backbone dinov2 --images 320 --ways exact fast cuda

IMAGES is a folder train/class/… and test/class/….  The way cuda is run on the CPU, where libjpeg
decodes in nvJPEG's place.  benchmarks/README.md says what is measured.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from extract import backbone, on_fastest
from extract_contestants import pixels_of
from featstore.backbones import load_encoder
from featstore.cores import available_cores
from featstore.datasets import ImageFolder
from featstore.device_images import DeviceDecoder
from featstore.encoding_line import ExtractionSettings
from featstore.feature_extraction import extract_here
from featstore.preparation import Preparation, prepare
from featstore.store import FeatureStore
from featstore.transform import Decode, Transform
from store_harness.machine import describe

WAYS: tuple[Decode, ...] = ("exact", "fast", "dct", "cuda")


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


def pixels(files: list[Path], ways: Sequence[Decode], repeats: int) -> dict[str, dict[str, float]]:
    """Prepare all files in every way, in turns."""
    transforms = {way: Transform(decode=way) for way in ways}
    place = np.empty((1, 224, 224, 3), np.uint8)
    decoder = DeviceDecoder("cpu")
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    contents = [file.read_bytes() for file in files]

    def make(way: Decode, content: bytes) -> None:
        if way == "cuda":
            assert decoder.fill({0: content}, {transforms[way]: place}) == []
        else:
            prepare(content, "", {Preparation(transforms[way]): place[0]})

    for _ in range(repeats):
        for way in ways:
            start = time.process_time()
            for content in contents:
                make(way, content)
            seconds[way].append((time.process_time() - start) / len(files))
    greatest, total = dict.fromkeys(ways, 0), dict.fromkeys(ways, 0.0)
    for content in contents:
        make("exact", content)
        exact = place.astype(int)
        for way in ways:
            make(way, content)
            difference = np.abs(place - exact)
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
        for way in ways
    }


def features(
    folder: Path, scratch: Path, name: str, ways: Sequence[Decode]
) -> dict[str, dict[str, float]]:
    """Extract in every way, on one backend; compare features, and a probe's test accuracy."""
    source, _ = backbone(name)
    dataset = ImageFolder.scan(folder)
    transform = load_encoder(source, device="cpu").transform
    encoder: Any = on_fastest(source, pixels_of(folder, transform, 32), available_cores())[0]
    lines, exact = {}, None
    for way in ways:
        store = FeatureStore.create(scratch / f"{name}-{way}.zarr", dataset.samples)
        changed = replace(encoder, transform=replace(encoder.transform, decode=way))
        settings = ExtractionSettings(dtype="float32", decode_device="cpu")
        extract_here(dataset, {"x": changed}, store, settings, progress=False)
        X, y = {}, {}
        for split in ("train", "test"):
            view = store.view("x", split=split)
            X[split] = normalize(view.load().astype(np.float64))
            y[split] = np.asarray([str(one).split("/")[1] for one in view.ids])
        together = np.concatenate([X["train"], X["test"]])
        exact = together if exact is None else exact
        distance = np.maximum(1 - (together * exact).sum(1), 0)
        probe = LogisticRegression(C=100, max_iter=2000).fit(X["train"], y["train"])
        lines[way] = {
            "1 - cosine, greatest": float(distance.max()),
            "1 - cosine, 99th percentile": float(np.percentile(distance, 99)),
            "1 - cosine, median": float(np.median(distance)),
            "accuracy": float(probe.score(X["test"], y["test"])),
            "test photos": len(y["test"]),
        }
        print(name, way, lines[way], flush=True)
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
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    facts = describe(Path.cwd(), {"torch", "pillow", "onnxruntime", "openvino"})
    document: dict[str, Any] = {"machine": facts, "enlarged": arguments.enlarge}
    with tempfile.TemporaryDirectory() as temporary:
        photos, scratch = Path(temporary) / "photos", Path(temporary)
        files = copies(arguments.folder, photos, most=arguments.images, factor=arguments.enlarge)
        document["images"] = len(files)
        document["pixels"] = pixels(files[::4], arguments.ways, arguments.repeats)
        document["features"] = {
            name: features(photos, scratch, name, arguments.ways) for name in arguments.backbone
        }
    print(json.dumps(document, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
