"""Plans: the network that a recognised candidate's shapes belong to."""

from __future__ import annotations

from dataclasses import replace

import torch

from featstore.backbones import resnet, torchvision, vit
from featstore.backbones.architectures import untrained
from featstore.backbones.candidates import Candidate
from featstore.backbones.network import Network

Planned = tuple[Network, tuple[str, ...]]

_TORCHVISION_VITS = {768: "b", 1024: "l", 1280: "h"}


def planned(
    candidate: Candidate,
    *,
    family: str | None,
    size: int | None,
    stem: str | None,
    architecture: str | None,
) -> Planned | None:
    """Build the network that a candidate's layout and shapes ask for, not yet with its weights.

    Parameters
    ----------
    candidate
        Of a known layout.
    family
        The code base that wrote it.
    size
        Input size, if the user chose one.
    stem
        ResNet stem, if the user chose one.
    architecture
        Canonical name, if the user chose one; only variants of it are built.

    Returns
    -------
    network, notes
        None if the shapes belong to nothing that is known, or to another architecture.
    """
    layout = candidate.layout
    if layout is None:
        return None
    with torch.random.fork_rng(devices=[]):
        found = (
            _fixed(layout.architecture, size)
            or _resnet(candidate, family, stem, architecture)
            or _vit(candidate, family, size, architecture)
            or _torchvision_vit(candidate, size, architecture)
        )
    if found is None:
        return None
    network, notes = found
    if layout.normalisation is not None:
        mean, std = layout.normalisation
        network = replace(network, transform=replace(network.transform, mean=mean, std=std))
        notes = (*notes, f"normalisation of this layout: mean {mean}, std {std}")
    return network, notes


def _fixed(architecture: str | None, size: int | None) -> Planned | None:
    return (untrained(architecture, seed=0, size=size), ()) if architecture else None


def _resnet(
    candidate: Candidate, family: str | None, stem: str | None, architecture: str | None
) -> Planned | None:
    plan = resnet.plan_of(candidate.state)
    if plan is None:
        return None
    base = replace(plan, stem="imagenet", width=1, base_width=64).name
    named = replace(plan, stem="imagenet").name
    if architecture not in (None, f"torchvision/{base}", f"torchvision/{named}"):
        return None
    notes: tuple[str, ...] = ()
    if stem is not None:
        plan = resnet.with_stem(plan, stem)
    elif candidate.layout is not None and candidate.layout.stem is not None:
        plan = resnet.with_stem(plan, candidate.layout.stem)
        notes = (f"stem {plan.stem!r}: what the Sequential of this layout computes",)
    elif plan.stem != "imagenet":
        if family == "solo-learn":
            plan = resnet.with_stem(plan, "cifar-padding2")
        notes = (
            f"stem {plan.stem!r}: 3 x 3, stride 1, no pooling; padding does not show in tensors, "
            "choose it by ?stem=cifar or ?stem=cifar-padding2",
        )
    return torchvision.planned(plan), notes


def _vit(
    candidate: Candidate, family: str | None, size: int | None, architecture: str | None
) -> Planned | None:
    plan = vit.plan_of(candidate.state, family=family)
    if plan is None or architecture not in (None, f"timm/{plan.base}"):
        return None
    usual = plan.heads == vit.usual_heads(plan.width)
    note = f"{plan.heads} attention heads, as {family}'s code has; shapes do not show them"
    return plan.build(size=size), () if usual else (note,)


def _torchvision_vit(
    candidate: Candidate, size: int | None, architecture: str | None
) -> Planned | None:
    kernel = candidate.state.get("conv_proj.weight")
    positions = candidate.state.get("encoder.pos_embedding")
    if kernel is None or positions is None or kernel.shape[0] not in _TORCHVISION_VITS:
        return None
    patch = int(kernel.shape[-1])
    name = f"torchvision/vit_{_TORCHVISION_VITS[kernel.shape[0]]}_{patch}"
    if name.partition("/")[2] not in torchvision.names() or architecture not in (None, name):
        return None
    grid = vit.grid(int(positions.shape[1]))
    size = size or (grid * patch if grid else None)
    network = untrained(name, seed=0, size=size)
    own = network.transform
    if size is not None and own.resize is not None:
        scaled = round(own.resize * size / own.size)
        network = replace(network, transform=replace(own, size=size, resize=scaled))
    return network, ()
