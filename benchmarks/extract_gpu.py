"""Time extraction on a GPU against the forward pass alone, and against the loop that people write.

    python benchmarks/extract_gpu.py IMAGES --images 20000 --json extract-gpu.json
    python benchmarks/extract_gpu.py IMAGES --images 64 --backbone resnet50 --device cpu --repeats 1

IMAGES is a folder of JPEG files, which are taken as often as needed.  All take turns, in an order
that changes.  *busy* is the wall time of the forward pass over as many pixels that are in memory,
copies to the device and back included, and overlapped as in an extraction, over that of the
extraction: the share of the time that nothing but the device could have saved.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch

from extract import in_turns, save, show
from extract_contestants import Featstore, LoaderLoop, clean, pixels_of
from featstore.backbones import load_encoder
from featstore.cores import available_cores
from featstore.encoder import Encoder, overlapping
from featstore.feature_task import begin_encoding
from one_minute import link_repeatedly
from store_harness.machine import describe

#: Of timm, and what they are made with; weights are drawn, as their values take no time.
BACKBONES: dict[str, dict[str, int]] = {
    "tf_efficientnet_lite0": {},
    "resnet50": {},
    "vit_small_patch14_dinov2": {"img_size": 224},
    "vit_large_patch14_dinov2": {"img_size": 224},
}
#: Precision and pixels of each of featstore's turns; the device that decodes has to be a GPU.
MODES = (
    ("fp32", "exact"),
    ("bf16", "exact"),
    ("bf16", "fast"),
    ("bf16", "dct"),
    ("bf16", "cuda"),
)


class DeviceLoop(LoaderLoop):
    """The loop with its network on a device, in its usual precision."""

    def feed(self, folder: Path) -> Iterator[torch.Tensor]:
        """Yield normalised batches on the device."""
        device = next(self.model.parameters()).device  # type: ignore[attr-defined]
        for images in super().feed(folder):
            yield images.to(device, non_blocking=True)


def race(
    folder: Path, scratch: Path, name: str, device: str, *, n: int, repeats: int, batch: int
) -> list[dict[str, Any]]:
    """Let a backbone's forward passes, extractions and loop take turns."""
    network = timm.create_model(name, num_classes=0, **BACKBONES[name]).eval()
    size = "".join(f"?size={pixels}" for pixels in BACKBONES[name].values())
    threads = available_cores()
    encoders = {
        (numerics, decode): load_encoder(
            f"random/timm/{name}{size}", device=device, numerics=numerics, decode=decode
        )
        for numerics, decode in MODES
        if decode != "cuda" or device.startswith("cuda")
    }
    transform = encoders["fp32", "exact"].transform
    pixels = pixels_of(folder, transform, min(n, batch))
    if device_encoder := overlapping(encoders["fp32", "exact"]):
        locked = device_encoder.pixel_buffer(pixels.shape)
        locked[:] = pixels
        pixels = locked

    def forward(encoder: Encoder) -> None:
        under_way: deque[Callable[[], Any]] = deque()
        for start in range(0, n, len(pixels)):
            part = pixels[: min(len(pixels), n - start)]
            under_way.append(begin_encoding(encoder, part, partial(encoder.encode, part)))
            if len(under_way) > 1:
                under_way.popleft()()
        under_way.popleft()()

    def extract(who: Featstore | LoaderLoop) -> None:
        with clean(scratch / "run") as place:
            who.extract(folder, place)

    loop = DeviceLoop(network.to(device), transform, threads, batch)
    turns = {"loop": partial(extract, loop)}
    for (numerics, decode), encoder in encoders.items():
        if decode == "exact":
            forward(encoder)  # kernels are chosen, memory is taken
            turns[f"{numerics} forward"] = partial(forward, encoder)
        turns[f"{numerics} {decode}"] = partial(extract, Featstore(encoder, threads, batch))
    wall, cpu = in_turns(turns, repeats)
    return [
        {
            "backbone": name,
            "engine": encoder.engine,
            "numerics": numerics,
            "decode": decode,
            "images/s": n / float(np.median(wall[f"{numerics} {decode}"])),
            "forward, images/s": n / float(np.median(wall[f"{numerics} forward"])),
            "loop, images/s": n / float(np.median(wall["loop"])),
            "busy": float(np.median(wall[f"{numerics} forward"] / wall[f"{numerics} {decode}"])),
            "loop / extract": float(np.median(wall["loop"] / wall[f"{numerics} {decode}"])),
            "CPU ms": 1000 / n * float(np.median(cpu[f"{numerics} {decode}"])),
            "loop, CPU ms": 1000 / n * float(np.median(cpu["loop"])),
        }
        for (numerics, decode), encoder in encoders.items()
    ]


def main() -> None:
    """Read the arguments, measure, print tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="IMAGES")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--backbone", nargs="+", choices=BACKBONES, default=list(BACKBONES))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--json", type=Path, help="write machine and timings to this file")
    arguments = parser.parse_args()
    facts = describe(Path.cwd(), {"torch", "torchvision", "timm", "pillow"})
    facts["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    document: dict[str, Any] = {"machine": facts, "images": arguments.images, "races": []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "images"
        link_repeatedly(arguments.folder, folder, arguments.images)
        for name in arguments.backbone:
            lines = race(
                folder,
                Path(temporary),
                name,
                arguments.device,
                n=arguments.images,
                repeats=arguments.repeats,
                batch=arguments.batch_size,
            )
            for line in lines:
                show(line)
            document["races"] += lines
            save(document, arguments.json)


if __name__ == "__main__":
    main()
