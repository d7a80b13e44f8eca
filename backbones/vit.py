"""ViT: plans of vision transformers, read off a checkpoint's shapes and built by timm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from featstore.backbones.network import Network
from featstore.backbones.state_dict import State
from featstore.optional import import_optional

# Embedding dimension -> timm's name and heads (Touvron et al. 2021, Dosovitskiy et al. 2021).
_WIDTHS = {
    192: ("tiny", 12, 3),
    384: ("small", 12, 6),
    768: ("base", 12, 12),
    1024: ("large", 24, 16),
    1280: ("huge", 32, 16),
    1536: ("giant", 40, 24),
}
_MOCO_V3_SMALL_HEADS = 12  # where everybody else has 6; shapes do not show it


@dataclass(frozen=True)
class ViTPlan:
    """What it takes to build a ViT.

    Attributes
    ----------
    width, depth, heads
        Embedding dimension, blocks, attention heads.
    patch
        Edge of a patch in pixels.
    size
        Edge of the images that the position embeddings were made for; None if they do not say.
    registers
        Register tokens.
    layer_scale
        Whether blocks scale their branches, as DINOv2's do.
    """

    width: int
    depth: int
    heads: int
    patch: int
    size: int | None
    registers: int = 0
    layer_scale: bool = False

    @property
    def base(self) -> str:
        """Timm's architecture that is nearest."""
        name = _WIDTHS[self.width][0]
        if self.layer_scale:
            return f"vit_{name}_patch14{'_reg4' if self.registers else ''}_dinov2"
        timm = import_optional("featstore.backbones.timm", extra="timm")
        exact = f"vit_{name}_patch{self.patch}_224"
        usual = {"huge": 14, "giant": 14}.get(name, 16)
        return exact if exact in timm.names() else f"vit_{name}_patch{usual}_224"

    @property
    def variant(self) -> dict[str, int]:
        """Arguments in which it differs from `base`."""
        _, depth, heads = _WIDTHS[self.width]
        patch = int(self.base.split("_patch")[1].split("_")[0])
        asked = {"patch_size": (self.patch, patch), "depth": (self.depth, depth)}
        asked |= {"num_heads": (self.heads, heads)}
        if self.registers:
            asked["reg_tokens"] = (self.registers, 4)
        return {key: value for key, (value, usual) in asked.items() if value != usual}

    def build(self, *, size: int | None) -> Network:
        """Build the network with freshly drawn weights from torch's global generator."""
        timm = import_optional("featstore.backbones.timm", extra="timm")
        network: Network = timm.untrained(self.base, size=size or self.size, variant=self.variant)
        return network


def plan_of(state: Mapping[str, Tensor], *, family: str | None) -> ViTPlan | None:
    """Read a plan off the shapes of tensors in timm's names; None if they are another network."""
    try:
        kernel = state["patch_embed.proj.weight"].shape
        width, patch = int(kernel[0]), int(kernel[-1])
    except (KeyError, IndexError):
        return None
    if width not in _WIDTHS or len(kernel) != 4:
        return None
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    heads = _WIDTHS[width][2]
    if family == "MoCo v3" and width == 384:
        heads = _MOCO_V3_SMALL_HEADS
    registers = int(state["reg_token"].shape[1]) if "reg_token" in state else 0
    positions = state.get("pos_embed")
    edge = None if positions is None else grid(int(positions.shape[1]))
    return ViTPlan(
        width=width,
        depth=depth,
        heads=heads,
        patch=patch,
        size=None if edge is None else edge * patch,
        registers=registers,
        layer_scale="blocks.0.ls1.gamma" in state,
    )


def usual_heads(width: int) -> int:
    """Attention heads that a ViT of this width has in timm."""
    return _WIDTHS[width][2]


def fold_class_position(state: State, module: nn.Module) -> State:
    """Give a class token its position, where the network has no place for that.

    DINOv2's original adds a position to the class token before it inserts registers; timm keeps
    positions of patches only in these networks.
    """
    positions = state.get("pos_embed")
    if (
        not getattr(module, "no_embed_class", False)
        or positions is None
        or "cls_token" not in state
        or _square(int(positions.shape[1])) is not None
    ):
        return state
    token = state["cls_token"] + positions[:, :1]
    return {**state, "cls_token": token, "pos_embed": positions[:, 1:]}


def resample_positions(state: State, wanted: Mapping[str, Tensor]) -> tuple[State, str | None]:
    """Interpolate position embeddings to a network's grid: bicubic, antialiased, as timm does.

    Parameters
    ----------
    state
        Named as the network's tensors.
    wanted
        The network's own tensors.

    Returns
    -------
    state, note
        The tensors, and what was done; None if the grids are equal.
    """
    for name in ("pos_embed", "encoder.pos_embedding"):
        given, own = state.get(name), wanted.get(name)
        if given is None or own is None or given.ndim != 3 or given.shape == own.shape:
            continue
        prefix, old, new = _grids(int(given.shape[1]), int(own.shape[1]))
        if old is None or new is None or given.shape[2] != own.shape[2]:
            continue
        tokens, patches = given[:, :prefix], given[:, prefix:].float()
        square = patches.reshape(1, old, old, -1).permute(0, 3, 1, 2)
        resized = functional.interpolate(square, size=(new, new), mode="bicubic", antialias=True)
        patches = resized.permute(0, 2, 3, 1).flatten(1, 2).to(given.dtype)
        note = f"position embeddings {old} x {old} -> {new} x {new}, bicubic"
        return {**state, name: torch.cat([tokens, patches], 1)}, note
    return state, None


def _square(count: int) -> int | None:
    edge = math.isqrt(max(count, 0))
    return edge if edge and edge * edge == count else None


def grid(count: int) -> int | None:
    """Edge of a grid of positions, with or without those of a class (and a distillation) token.

    Examples
    --------
    >>> grid(197), grid(256)
    (14, 16)
    """
    return next((edge for extra in (1, 0, 2) if (edge := _square(count - extra))), None)


def _grids(given: int, own: int) -> tuple[int, int | None, int | None]:
    for prefix in (1, 0, 2):
        old, new = _square(given - prefix), _square(own - prefix)
        if old and new:
            return prefix, old, new
    return 0, None, None
