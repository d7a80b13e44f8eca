"""timm: its image networks, with its weights or none.

The default layer is timm's own "pre-logits" representation: ``forward_features``, then
``forward_head(pre_logits=True)``.  With ``pool=tokens`` it is ``forward_features`` alone:
of a ViT the normalised patch tokens (unnormalised where the model averages them first), of other
networks the last map.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.models import get_pretrained_cfg, is_model
from torch import Tensor, nn

from featstore.backbones.by_hand import hub_address, hub_copy, missing_weights, reason
from featstore.backbones.network import Network
from featstore.backbones.settings import TRANSFORM_OPTIONS, Settings
from featstore.backbones.source import LAYER_OPTIONS, Source
from featstore.backbones.torch_encoder import TorchEncoder, torch_encoder
from featstore.errors import InvalidInputError, WeightsError
from featstore.suggest import did_you_mean
from featstore.transform import Transform


def open_encoder(source: Source, settings: Settings) -> TorchEncoder:
    """Open ``timm/MODEL[.TAG]`` or ``timm/MODEL@TAG``."""
    source.check_options(*LAYER_OPTIONS, *TRANSFORM_OPTIONS)
    name, _, tag = source.model.partition(".")
    if tag and source.weights:
        raise InvalidInputError(
            f"backbone {source.text!r} names its weights twice: {tag!r} and {source.weights!r}"
        )
    size = source.integer("size", default=0, minimum=1) if "size" in source.options else None
    return torch_encoder(pretrained(name, tag or source.weights, size=size), source, settings)


def names() -> list[str]:
    """All architectures that `untrained` builds."""
    return list(timm.list_models())


def pretrained(name: str, tag: str | None, *, size: int | None = None) -> Network:
    """Build a network with timm's weights; by default those of timm's default tag.

    Parameters
    ----------
    name
        Architecture without tag.
    tag
        Which weights, e.g. ``"a1_in1k"``.
    size
        Input size, if not the weights' own; position embeddings are resampled to it.

    Raises
    ------
    InvalidInputError
        If there is no such model or no such tag.
    WeightsError
        If the weights are neither cached nor to be had.
    """
    _check_name(name)
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{name}.*")]
    if not tags:
        raise InvalidInputError(
            f"timm/{name} has no pretrained weights; use checkpoint:FILE?arch=timm/{name}, "
            f"or random/{name} for a baseline"
        )
    if tag is None:
        default = get_pretrained_cfg(name)
        tag = default.tag if default and default.tag else tags[0]
    if tag not in tags:
        raise InvalidInputError(f"timm/{name} has no weights {tag!r}. {did_you_mean(tag, tags)}")
    try:
        module = _build(f"{name}.{tag}", size=size, pretrained=True)
    except Exception as error:  # whatever the hub's client and its transport raise
        raise WeightsError(
            f"cannot load weights {tag!r} of timm/{name}: {reason(error)}. "
            f"{_way_out(name, tag, error)}"
        ) from error
    return _network(module, name, weights=tag, size=size)


def _way_out(name: str, tag: str, error: Exception) -> str:
    own = f"by checkpoint:FILE?arch=timm/{name}"
    missing = missing_weights(error)
    if missing is not None:
        address, place = missing
        return f"Fetch {address} by hand and put it at {place}, or give it {own}"
    known = get_pretrained_cfg(f"{name}.{tag}")
    repository = (known.hf_hub_id if known else None) or f"timm/{name}.{tag}"
    file = (known.hf_hub_filename if known else None) or "model.safetensors"
    return (
        f"Fetch {hub_address(repository, file)} by hand and give it {own}; or "
        f"{hub_copy(repository)}"
    )


def untrained(
    name: str, *, size: int | None = None, variant: Mapping[str, int] | None = None
) -> Network:
    """Build a network with freshly drawn weights from torch's global generator.

    Parameters
    ----------
    name
        One of `names`.
    size
        Input size, for those architectures that are tied to one.
    variant
        Arguments of the architecture's constructor that differ from its own; they become part of
        the architecture's name.

    Raises
    ------
    InvalidInputError
        If there is no such model.
    """
    _check_name(name)
    variant = variant or {}
    module = _build(name, size=size, pretrained=False, variant=variant)
    network = _network(module, name, weights="none", size=size)
    if not variant:
        return network
    changed = ", ".join(f"{key}={value}" for key, value in sorted(variant.items()))
    return replace(network, architecture=f"timm/{name} ({changed})")


def _check_name(name: str) -> None:
    if not is_model(name):
        raise InvalidInputError(f"timm has no model {name!r}. {did_you_mean(name, names())}")


def _build(
    name: str, *, size: int | None, pretrained: bool, variant: Mapping[str, int] | None = None
) -> nn.Module:
    # Convolutional networks take any size and have no such argument.
    tied = get_pretrained_cfg(name, allow_unregistered=True)
    options: dict[str, Any] = {"img_size": size} if size and tied and tied.fixed_input_size else {}
    options |= variant or {}
    # The constructor draws an initialisation even when weights replace it.
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[], enabled=pretrained):
        warnings.simplefilter("ignore")
        module: nn.Module = timm.create_model(name, pretrained=pretrained, **options)
    return module.eval()


def _network(module: Any, name: str, *, weights: str, size: int | None) -> Network:
    def penultimate(images: Tensor) -> Tensor:
        features: Tensor = module.forward_head(module.forward_features(images), pre_logits=True)
        return features

    def tokens(images: Tensor) -> Tensor:
        activation = module.forward_features(images)
        if not isinstance(activation, Tensor):
            raise InvalidInputError(
                f"timm/{name} gives a {type(activation).__name__} in place of tokens; name a "
                "layer, as in '...?pool=tokens#norm'"
            )
        return activation

    classifier = module.pretrained_cfg.get("classifier") or ()
    return Network(
        module=module,
        architecture=f"timm/{name}",
        weights=weights,
        transform=_transform(module, name, size),
        head=(classifier,) if isinstance(classifier, str) else tuple(classifier),
        penultimate=penultimate,
        prefix_tokens=int(getattr(module, "num_prefix_tokens", 0)),
        tokens=tokens,
    )


def _transform(module: nn.Module, name: str, size: int | None) -> Transform:
    """Read the evaluation transform as timm's ``create_transform`` would build it."""
    asked = {"img_size": size} if size else None
    config = resolve_model_data_config(module, args=asked)  # type: ignore[no-untyped-call]
    channels, height, width = config["input_size"]
    mode, fraction = config["crop_mode"], config["crop_pct"]
    if channels != 3 or height != width or mode == "border" or (mode == "squash" and fraction != 1):
        raise InvalidInputError(
            f"timm/{name} expects {channels} channels, {height} x {width} pixels, crop mode "
            f"{mode!r} of {fraction}: only square RGB input, by a centre crop or squashed whole, "
            "is supported"
        )
    return Transform(
        geometry="squash" if mode == "squash" else "resize-crop",
        size=height,
        resize=None if mode == "squash" else math.floor(height / fraction),
        interpolation=config["interpolation"],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )
