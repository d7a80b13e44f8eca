"""Foreign networks: modules from other code, wrapped as a `Network`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from featstore.backbones.layer import tap
from featstore.backbones.network import Network
from featstore.errors import InvalidInputError
from featstore.transform import Transform

_HEADS = ("fc", "classifier", "heads", "head", "last_linear")


def unknown_transform(size: int = 224) -> Transform:
    """Return what is assumed where code does not say its pixels: as for ONNX files."""
    return Transform(size=size, resize=round(size * 256 / 224), interpolation="bicubic")


def foreign(module: nn.Module, *, architecture: str, weights: str, transform: Transform) -> Network:
    """Wrap any module that takes images.

    The default layer is the input of the head, a child called ``fc``, ``classifier``, ``head`` or
    the like; of a module without one, or with an identity there, its output.

    Parameters
    ----------
    module
        Takes (n, 3, h, w).
    architecture, weights
        Their names.
    transform
        The pixels it expects.
    """
    head = next((name for name in _HEADS if _is_head(getattr(module, name, None))), None)
    registers = getattr(module, "num_register_tokens", 0)
    has_class = isinstance(getattr(module, "cls_token", None), Tensor)
    return Network(
        module=module.eval(),
        architecture=architecture,
        weights=weights,
        transform=transform,
        head=(head,) if head else (),
        penultimate=tap(module, head, side="input") if head else whole(module, architecture),
        prefix_tokens=(1 + registers if isinstance(registers, int) else 1) if has_class else 0,
    )


def whole(module: nn.Module, architecture: str) -> Callable[[Tensor], Tensor]:
    """Make a function that returns a module's output, if it is a tensor."""

    def forward(images: Tensor) -> Tensor:
        output: Any = module(images)
        if not isinstance(output, Tensor):
            raise InvalidInputError(
                f"{architecture} gives a {type(output).__name__}, not a tensor; name a layer by #"
            )
        return output

    return forward


def _is_head(child: Any) -> bool:
    return isinstance(child, nn.Module) and any(True for _ in child.parameters())
