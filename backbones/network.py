"""Network: a torch module with what the rest of featstore must know about it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from featstore.backbones.layer import Forward
from featstore.transform import Transform


@dataclass(frozen=True, eq=False)
class Network:
    """A built network, not yet placed on a device.

    Attributes
    ----------
    module
        Takes normalised images, shape (n, 3, size, size).
    architecture
        Canonical name, e.g. ``"torchvision/resnet50"``.
    weights
        Name of the weights, for people.
    transform
        The pixels it expects.
    head
        Modules of the classification head; not part of the representation.
    penultimate
        Computes the input of the head.
    prefix_tokens
        Class and register tokens before the patch tokens; 0 for networks without.
    tokens
        Computes the last tokens or map, which the head's input is pooled from; None where that is
        not known.
    """

    module: nn.Module
    architecture: str
    weights: str
    transform: Transform
    head: tuple[str, ...]
    penultimate: Forward
    prefix_tokens: int = 0
    tokens: Forward | None = None

    def in_head(self, name: str) -> bool:
        """Whether a parameter or module belongs to the classification head."""
        return any(name == module or name.startswith(f"{module}.") for module in self.head)

    def state(self, *, head: bool) -> dict[str, Tensor]:
        """Return the tensors that decide the output, with or without those of the head.

        ``num_batches_tracked`` is left out: it only counts training steps.
        """
        return {
            name: tensor
            for name, tensor in self.module.state_dict().items()
            if not name.endswith("num_batches_tracked") and (head or not self.in_head(name))
        }


def weights_digest(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """Sha256 over the names, dtypes, shapes and bytes of tensors, in the order of their names.

    Examples
    --------
    >>> a, b = ("a", torch.zeros(2)), ("b", torch.ones(2))
    >>> weights_digest([a, b]) == weights_digest([b, a]) != weights_digest([a])
    True
    """
    sha = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda entry: entry[0]):
        dtype = str(tensor.dtype).removeprefix("torch.")
        sha.update(f"{name}\0{dtype}\0{tuple(tensor.shape)}\0".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        sha.update(flat.view(torch.uint8).numpy().data)
    return sha.hexdigest()
