"""Architectures: networks without pretrained weights, by name, of either family."""

from __future__ import annotations

import torch

from featstore.backbones import torchvision
from featstore.backbones.network import Network
from featstore.errors import InvalidInputError
from featstore.optional import import_optional
from featstore.suggest import did_you_mean


def canonical(architecture: str) -> str:
    """Complete ``"resnet50"`` to ``"torchvision/resnet50"``: torchvision first, then timm.

    Raises
    ------
    InvalidInputError
        If neither knows the name.
    MissingDependencyError
        If torchvision does not know it and timm is not installed.

    Examples
    --------
    >>> canonical("resnet50")
    'torchvision/resnet50'
    """
    family, slash, name = architecture.rpartition("/")
    if slash and family not in ("torchvision", "timm"):
        raise InvalidInputError(
            f"architecture {architecture!r} is neither torchvision/NAME, timm/NAME nor a bare NAME"
        )
    known = torchvision.names()
    if family != "timm" and name in known:
        return f"torchvision/{name}"
    if family != "torchvision":
        timm_names = import_optional("featstore.backbones.timm", extra="timm").names()
        if name in timm_names:
            return f"timm/{name}"
        known = timm_names if family else [*known, *timm_names]
    raise InvalidInputError(f"no architecture {architecture!r}. {did_you_mean(name, known)}")


def untrained(architecture: str, *, seed: int, size: int | None = None) -> Network:
    """Build a network with its own initialisation.

    Parameters
    ----------
    architecture
        As `canonical` takes it.
    seed
        Decides the weights, whatever the state of torch's global generator, which is left as
        it was.
    size
        Input size, where the architecture is tied to one.
    """
    family, _, name = canonical(architecture).partition("/")
    # torch.manual_seed would also reseed the CUDA generators, which fork_rng could not restore
    # without starting CUDA.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if family == "torchvision":
            return torchvision.untrained(name, size=size)
        timm = import_optional("featstore.backbones.timm", extra="timm")
        network: Network = timm.untrained(name, size=size)
        return network
