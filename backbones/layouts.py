"""Layouts: how code bases name the tensors of the same network, recognised by keys alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from featstore.backbones.conversions import CONVERSIONS
from featstore.backbones.state_dict import State

Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]

_ZERO_ONE: Normalisation = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Layout:
    """One way to name tensors.

    Attributes
    ----------
    name
        For people.
    anchors
        Keys that are there, all below one prefix; the first tells the prefix.
    rename
        From the layout's keys to those of the network that we build.
    absent
        A fragment that none of its keys contains.
    stem
        The ResNet stem that follows from the layout.
    normalisation
        Mean and deviation that the weights were trained with, where the layout tells.
    architecture
        The only network that computes what the original does, where names and shapes do not say.
    """

    name: str
    anchors: tuple[str, ...]
    rename: Callable[[str], str]
    absent: str | None = None
    stem: str | None = None
    normalisation: Normalisation | None = None
    architecture: str | None = None

    def prefixes(self, keys: Iterable[str]) -> list[str]:
        """Where networks of this layout begin.

        Examples
        --------
        >>> LAYOUTS[-2].prefixes(["a.patch_embed.proj.weight", "a.blocks.0.norm1.weight"])
        ['a.']
        """
        known = set(keys)
        if self.absent is not None and any(self.absent in key for key in known):
            return []
        starts = [
            key.removesuffix(self.anchors[0]) for key in known if key.endswith(self.anchors[0])
        ]
        return sorted(
            start
            for start in starts
            if start[-1:] in ("", ".") and all(start + anchor in known for anchor in self.anchors)
        )


def _sequence(first: int) -> Callable[[str], str]:
    """Rename the children of ``Sequential(*resnet.children())``, whose stages start at `first`."""
    names = {"0": "conv1", "1": "bn1"}
    names |= {str(first + i): f"layer{i + 1}" for i in range(4)}

    def rename(key: str) -> str:
        child, dot, rest = key.partition(".")
        return _shortcut(names.get(child, child) + dot + rest)

    return rename


def _shortcut(key: str) -> str:
    """Torchvision says ``downsample`` where CIFAR's ResNets say ``shortcut``."""
    key = key.replace(".shortcut.", ".downsample.")
    return "fc" + key.removeprefix("linear") if key.startswith("linear.") else key


def _simclr_v2(key: str) -> str:
    stem = {"net.0.0.": "conv1.", "net.0.1.0.": "bn1."}
    for old, new in stem.items():
        if key.startswith(old):
            return new + key.removeprefix(old)
    match = re.fullmatch(r"net\.([1-4])\.blocks\.(\d+)\.(.+)", key)
    if match is None:
        return key
    stage, block, part = match.groups()
    steps = {"net.0.": "conv1.", "net.1.0.": "bn1.", "net.2.": "conv2.", "net.3.0.": "bn2."}
    steps |= {"net.4.": "conv3.", "net.5.0.": "bn3."}
    steps |= {"projection.shortcut.": "downsample.0.", "projection.bn.0.": "downsample.1."}
    for old, new in steps.items():
        if part.startswith(old):
            return f"layer{stage}.{block}.{new}{part.removeprefix(old)}"
    return key


def _vit(key: str) -> str:
    """DINOv2's names to timm's: chunks of blocks, SwiGLU, registers."""
    key = re.sub(r"^blocks\.\d+\.(\d+)\.", r"blocks.\1.", key)
    key = re.sub(r"\.mlp\.w12\.", ".mlp.fc1.", key)
    key = re.sub(r"\.mlp\.w3\.", ".mlp.fc2.", key)
    return "reg_token" if key == "register_tokens" else key


def _sequential(first: int, *, stem: str | None = None) -> Layout:
    return Layout(
        f"Sequential of a ResNet's children, stages from {first}",
        ("0.weight", "1.running_mean", f"{first}.0.conv1.weight", f"{first + 3}.0.conv1.weight"),
        _sequence(first),
        stem=stem,
    )


LAYOUTS = (
    *(
        Layout(
            conversion.layout,
            (conversion.anchor,),
            conversion.rename,
            absent=conversion.absent,
            normalisation=(conversion.mean, conversion.std),
            architecture=conversion.architecture,
        )
        for conversion in CONVERSIONS
    ),
    Layout(
        # Separius/SimCLRv2-Pytorch; Google's input is [0, 1], without mean and deviation.
        "Google's SimCLRv2, converted",
        ("net.0.0.weight", "net.0.1.0.running_mean", "net.1.blocks.0.net.0.weight"),
        _simclr_v2,
        normalisation=_ZERO_ONE,
    ),
    Layout(
        "ResNet, torchvision's names",
        ("conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "layer4.0.conv1.weight"),
        _shortcut,
    ),
    # A Sequential runs its children alone: where no ReLU (lightly's own ResNet calls a function) or
    # no pooling is among them, none is computed.
    _sequential(4),
    _sequential(3),
    _sequential(2, stem="cifar-linear"),
    Layout(
        "ViT, torchvision's names",
        ("conv_proj.weight", "encoder.layers.encoder_layer_0.ln_1.weight"),
        str,
    ),
    Layout("ViT, timm's names", ("patch_embed.proj.weight", "blocks.0.norm1.weight"), _vit),
    Layout(
        "ViT, DINOv2's chunks of blocks",
        ("patch_embed.proj.weight", "blocks.0.0.norm1.weight"),
        _vit,
    ),
)


def below(state: Mapping[str, Tensor], prefix: str) -> State:
    """Return the tensors below a prefix, named without it; training steps are not counted.

    Examples
    --------
    >>> import torch
    >>> sorted(below({"a.b": torch.zeros(1), "c": torch.zeros(1)}, "a."))
    ['b']
    """
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix) and not name.endswith("num_batches_tracked")
    }
