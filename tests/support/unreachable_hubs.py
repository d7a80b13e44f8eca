"""Load a backbone of each hub where every connection is refused, and print what is said.

    python tests/support/unreachable_hubs.py EMPTY_FOLDER

In a process of its own: the hubs' clients read the environment when they are imported.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

HUBCONF = """
import torch
dependencies = ["torch"]

def small():
    return torch.hub.load_state_dict_from_url("https://example.org/weights/small.pth")
"""
SOURCES = (
    "torchvision/resnet18",
    "timm/resnet18.a1_in1k",
    "open_clip/ViT-B-32@laion2b_s34b_b79k",
    "hf:facebook/dinov2-small",
    "torch.hub:facebookresearch/dino:main/dino_vits16?trust=yes",
)


def main(folder: Path) -> None:
    """Print each message by its source, as JSON."""
    # Nothing listens at port 9 of this machine.
    proxies = {f"{kind}_PROXY": "http://127.0.0.1:9" for kind in ("HTTP", "HTTPS", "ALL")}
    proxies |= {name.lower(): value for name, value in proxies.items()}
    os.environ.update(proxies, NO_PROXY="", no_proxy="")
    os.environ.update(TORCH_HOME=str(folder / "torch"), HF_HOME=str(folder / "hf"))
    # Its client would try again for most of a minute.
    os.environ["HF_HUB_OFFLINE"] = "1"
    repository = folder / "someones"
    repository.mkdir()
    (repository / "hubconf.py").write_text(HUBCONF)

    from featstore.backbones import load_encoder
    from featstore.errors import WeightsError

    said = {}
    for source in (*SOURCES, f"torch.hub:{repository}/small"):
        try:
            load_encoder(source, device="cpu")
        except WeightsError as error:
            said[source] = str(error)
    print(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
