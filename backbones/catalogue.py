"""Catalogue: the pretrained backbones that installed packages know, and what each needs."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

_COLUMNS = ["backbone", "needs"]
# kind -> package, extra; and the form of names that no list can hold
_PACKAGES = {
    "torchvision": ("torchvision", "torchvision"),
    "timm": ("timm", "timm"),
    "open_clip": ("open_clip", "open-clip"),
    "hf": ("transformers", "hf"),
    "onnx": ("onnxruntime", "onnx"),
    "torch.hub": ("torch", "torch"),
    "checkpoint": ("torch", "torch"),
}
_OPEN = {
    "hf": ("hf:OWNER/MODEL", "a download, or a folder hf:FOLDER"),
    "torch.hub": ("torch.hub:OWNER/REPOSITORY/ENTRY", "a download, or a folder with hubconf.py"),
    "checkpoint": ("checkpoint:FILE", "a file"),
    "onnx": ("onnx:FILE", "a file"),
}


def catalogue(search: str = "") -> pd.DataFrame:
    """List backbones.

    Parameters
    ----------
    search
        Words, all of which the name contains; case does not matter.

    Returns
    -------
    frame
        One row per pretrained backbone: ``backbone`` (its source) and ``needs`` (``"nothing"``
        where its weights are cached, a download, a file, or a package to install).

    Examples
    --------
    >>> catalogue("torchvision/resnet18")["backbone"].tolist()
    ['torchvision/resnet18@IMAGENET1K_V1']
    """
    words = search.lower().split()
    rows = [row for row in _rows() if all(word in row[0].lower() for word in words)]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _rows() -> Iterator[tuple[str, str]]:
    listed = {"torchvision": _torchvision, "timm": _timm, "open_clip": _open_clip}
    for kind, (package, extra) in _PACKAGES.items():
        here = importlib.util.find_spec(package) is not None
        if kind in listed and here:
            yield from listed[kind]()
            continue
        name, needs = _OPEN.get(kind, (f"{kind}/MODEL", ""))
        yield name, needs if here else f'pip install "featstore[{extra}]"'


def _torchvision() -> Iterator[tuple[str, str]]:
    import torch
    from torchvision import models

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    for name in models.list_models(module=models):
        for weights in models.get_model_weights(name):
            cached = (folder / weights.url.rpartition("/")[2]).is_file()
            size: Any = weights.meta.get("_file_size")
            needs = f"a download ({size:.0f} MB)" if size else "a download"
            yield f"torchvision/{name}@{weights.name}", "nothing" if cached else needs


def _timm() -> Iterator[tuple[str, str]]:
    import timm
    from timm.models import get_pretrained_cfg

    for full in timm.list_pretrained():
        known = get_pretrained_cfg(full)
        repository = known.hf_hub_id if known else None
        yield f"timm/{full}", _cached(repository, ("model.safetensors", "pytorch_model.bin"))


def _open_clip() -> Iterator[tuple[str, str]]:
    import open_clip

    for name, tag in open_clip.list_pretrained():
        repository = open_clip.get_pretrained_cfg(name, tag).get("hf_hub", "")
        repository = "/".join(repository.split("/")[:2])  # a file may follow
        files = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
        yield f"open_clip/{name}@{tag}", _cached(repository, files)


def _cached(repository: str | None, files: tuple[str, ...]) -> str:
    from huggingface_hub import try_to_load_from_cache

    if repository and any(
        isinstance(try_to_load_from_cache(repository, file), str) for file in files
    ):
        return "nothing"
    return "a download"
