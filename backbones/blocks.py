"""Blocks: the sequence of a transformer's blocks, and the normalisation after the last."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from featstore.backbones.layer import taps
from featstore.errors import InvalidInputError

# Where code bases keep the two: timm and DINO, torchvision, open_clip, transformers.
_PLACES = (
    ("blocks", "norm"),
    ("encoder.layers", "encoder.ln"),
    ("transformer.resblocks", "ln_post"),
    ("encoder.layer", "layernorm"),
    ("layer", "layernorm"),
    ("layers", "layernorm"),
    ("encoder.layers", "post_layernorm"),
)


def block_names(module: nn.Module) -> tuple[tuple[str, ...], str]:
    """Name a transformer's blocks in their order, and its final normalisation.

    Returns
    -------
    blocks, norm
        Dotted names; no blocks for other networks.

    Examples
    --------
    >>> from featstore.backbones.architectures import untrained
    >>> blocks, norm = block_names(untrained("vit_tiny_patch16_224", seed=0).module)
    >>> blocks[-1], norm
    ('blocks.11', 'norm')
    """
    known = dict(module.named_modules())
    for blocks, norm in _PLACES:
        for path, child in known.items():
            if not (path == blocks or path.endswith(f".{blocks}")):
                continue
            root = path.removesuffix(blocks)
            if isinstance(child, nn.Sequential | nn.ModuleList) and root + norm in known:
                return tuple(f"{path}.{name}" for name, _ in child.named_children()), root + norm
    return (), ""


def last_blocks(module: nn.Module, count: int, *, source: str) -> Callable[[Tensor], list[Tensor]]:
    """Make a function that returns the normalised tokens of a transformer's last blocks.

    As DINO's linear evaluation takes them (``get_intermediate_layers``): every block's output goes
    through the network's final normalisation; the last block comes last.

    Parameters
    ----------
    module
        The network.
    count
        How many blocks.
    source
        For the error.

    Raises
    ------
    InvalidInputError
        If the network has no blocks, or fewer.
    """
    names, norm = block_names(module)
    if len(names) < count:
        raise InvalidInputError(
            f"backbone {source!r} has {len(names)} transformer blocks, not {count}; "
            + ("choose fewer by ?blocks=" if names else "name layers, as in '#layer3,layer4'")
        )
    forward, normalise = taps(module, names[-count:]), module.get_submodule(norm)

    def blocks(images: Tensor) -> list[Tensor]:
        return [normalise(tokens) for tokens in forward(images)]

    return blocks
