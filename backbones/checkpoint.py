"""Checkpoint: weights from a local file, matched to an architecture key by key.

Nothing is loaded unless every tensor of the backbone is there with its name and shape.  A common
prefix (``module.``, ``backbone.``, ``_orig_mod.``, ``teacher.backbone.``, whatever it is) is found
by content.  The classification head alone may differ or be absent, as long as it is not asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from featstore.backbones.architectures import canonical, untrained
from featstore.backbones.conversions import Conversion, convert
from featstore.backbones.network import Network
from featstore.backbones.settings import TRANSFORM_OPTIONS, Settings
from featstore.backbones.source import Source
from featstore.backbones.state_dict import read_state_dict
from featstore.backbones.torch_encoder import TorchEncoder, torch_encoder
from featstore.errors import InvalidInputError, WeightsError

_HEADS = ("fc", "classifier", "head", "heads", "head_dist", "last_linear", "linear")
_OPTIONS = ("arch", "key", "prefix", "ignore", "pool", "prefix_tokens")


def open_encoder(source: Source, settings: Settings) -> TorchEncoder:
    """Open ``checkpoint:FILE?arch=ARCHITECTURE``.

    Options: ``key=`` names the entry that holds the tensors, ``prefix=`` the common prefix of
    their names, where several fit; ``ignore=a,b`` drops tensors below ``a.`` and ``b.`` that the
    architecture does not have.  Layouts in `featstore.backbones.conversions` need no ``arch``.
    The transform is the architecture's usual one unless options say otherwise.
    """
    source.check_options(*_OPTIONS, *TRANSFORM_OPTIONS)
    path = Path(source.model)
    state, conversion = convert(read_state_dict(path, key=source.options.get("key")))
    size = source.integer("size", default=0, minimum=1) if "size" in source.options else None
    network = untrained(_architecture(source, conversion), seed=0, size=size)
    ignored = tuple(filter(None, source.options.get("ignore", "").split(",")))
    fit_state(
        network,
        state,
        origin=str(path),
        head_needed=source.layer is not None and network.in_head(source.layer),
        prefix=source.options.get("prefix"),
        ignored=ignored,
    )
    transform = network.transform
    if conversion is not None:
        transform = replace(transform, mean=conversion.mean, std=conversion.std)
    return torch_encoder(replace(network, weights=path.name, transform=transform), source, settings)


def fit_state(
    network: Network,
    state: Mapping[str, Tensor],
    *,
    origin: str,
    head_needed: bool,
    prefix: str | None = None,
    ignored: tuple[str, ...] = (),
) -> None:
    """Load tensors into a network, all of its backbone's or none.

    Parameters
    ----------
    network
        Whose weights are replaced.
    state
        Tensors by name.
    origin
        Where they come from, for the error.
    head_needed
        Whether the classification head must match too.
    prefix
        Common prefix of the names; found by content if None.
    ignored
        Modules in `state` that the architecture lacks and that may be dropped.

    Raises
    ------
    WeightsError
        Listing the missing, unexpected and wrongly shaped keys.
    """
    wanted = network.state(head=True)
    needed = {name for name in wanted if head_needed or not network.in_head(name)}
    if prefix is None:
        prefix = _common_prefix(state, needed, origin=origin)
    given = {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix) and not name.endswith("num_batches_tracked")
    }
    missing = sorted(needed - given.keys())
    unexpected = sorted(
        name
        for name in given.keys() - wanted.keys()
        if not network.in_head(name) and name.split(".")[0] not in (*_HEADS, *ignored)
    )
    misshapen = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in sorted(needed & given.keys())
        if given[name].shape != wanted[name].shape
    ]
    if missing or unexpected or misshapen:
        raise WeightsError(
            f"{origin} does not match {network.architecture}"
            + (f" below the prefix {prefix!r}" if prefix else "")
            + ": "
            + "; ".join(
                f"{len(keys)} {what} ({', '.join(keys[:10])}{', ...' if len(keys) > 10 else ''})"
                for what, keys in (
                    ("missing", missing),
                    ("unexpected", unexpected),
                    ("of wrong shape", misshapen),
                )
                if keys
            )
            + ". Choose the architecture by ?arch=, or drop extra modules by ?ignore=A,B"
        )
    network.module.load_state_dict({name: given[name] for name in needed}, strict=False)


def _architecture(source: Source, conversion: Conversion | None) -> str:
    asked = source.options.get("arch")
    if asked is None:
        if conversion is None:
            raise InvalidInputError(
                f"backbone {source.text!r}: say which architecture the weights belong to, "
                f"as in checkpoint:{source.model}?arch=resnet50"
            )
        return conversion.architecture
    architecture = canonical(asked)
    if conversion is not None and architecture != conversion.architecture:
        raise WeightsError(
            f"{source.model} has the layout of {conversion.layout}, which only "
            f"{conversion.architecture} computes as the original does; leave out ?arch={asked}"
        )
    return architecture


def _common_prefix(state: Mapping[str, Tensor], needed: set[str], *, origin: str) -> str:
    """Find what stands before the network's own names in a checkpoint's names."""
    found: Counter[str] = Counter()
    for name in state:
        parts = name.split(".")
        for depth in range(len(parts)):
            if ".".join(parts[depth:]) in needed:
                found["".join(f"{part}." for part in parts[:depth])] += 1
    complete = [prefix for prefix, count in found.items() if count == len(needed)]
    if len(complete) > 1:
        raise WeightsError(
            f"{origin} holds several networks that fit; choose one by ?prefix=: "
            f"{', '.join(map(repr, complete))}"
        )
    return max(found, key=lambda prefix: found[prefix], default="")
