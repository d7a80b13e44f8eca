"""open_clip: the image towers of its models.

The default layer is what the projection into the space of images and texts is computed from, as
CLIP's own linear probes take it (Radford et al. 2021, appendix A.3); ``#embedding`` is behind the
projection.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import nn

from featstore.backbones.by_hand import hub_address, reason
from featstore.backbones.foreign import whole
from featstore.backbones.network import Network
from featstore.backbones.settings import TRANSFORM_OPTIONS, Settings
from featstore.backbones.source import LAYER_OPTIONS, Source
from featstore.backbones.torch_encoder import TorchEncoder, torch_encoder
from featstore.errors import InvalidInputError, WeightsError
from featstore.suggest import did_you_mean
from featstore.transform import Transform

_EMBEDDING = "embedding"


def open_encoder(source: Source, settings: Settings) -> TorchEncoder:
    """Open ``open_clip/MODEL@TAG`` or ``open_clip/MODEL@FILE``."""
    source.check_options(*LAYER_OPTIONS, *TRANSFORM_OPTIONS)
    size = source.integer("size", default=0, minimum=1) if "size" in source.options else None
    projected = source.layer == _EMBEDDING
    network = pretrained(source.model, source.weights, size=size, projected=projected)
    if projected:
        source = replace(source, layer=None)
    return torch_encoder(network, source, settings)


def names() -> list[str]:
    """All models."""
    return list(open_clip.list_models())


def pretrained(name: str, weights: str | None, *, size: int | None, projected: bool) -> Network:
    """Build a model's image tower with its weights.

    Parameters
    ----------
    name
        One of `names`.
    weights
        A tag of open_clip's, or a file of one of its checkpoints.
    size
        Input size, if not the model's own; open_clip resamples position embeddings to it.
    projected
        Whether the output is behind the projection.

    Raises
    ------
    InvalidInputError
        If there is no such model or tag.
    WeightsError
        If the weights are neither cached nor to be had.
    """
    if name not in names():
        raise InvalidInputError(f"open_clip has no model {name!r}. {did_you_mean(name, names())}")
    tags = open_clip.list_pretrained_tags_by_model(name)
    if weights is None or (weights not in tags and not Path(weights).is_file()):
        raise InvalidInputError(
            f"open_clip/{name} has no weights {weights!r}: give a tag or a file after '@'. "
            f"{did_you_mean(weights or '', tags)}"
        )
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            model = open_clip.create_model(name, pretrained=weights, force_image_size=size)
    except Exception as error:  # whatever the hub's client and its transport raise
        raise WeightsError(
            f"cannot load weights {weights!r} of open_clip/{name}: {reason(error)}. Fetch "
            f"{_address(name, weights)} by hand and give it as open_clip/{name}@FILE"
        ) from error
    return _network(model.visual, name, Path(weights).name, projected=projected)


def _address(name: str, weights: str) -> str:
    """Return where open_clip would fetch weights from."""
    known = open_clip.get_pretrained_cfg(name, weights)
    repository, _, file = str(known.get("hf_hub") or "").rpartition("/")
    if repository:
        return hub_address(repository, file or open_clip.constants.HF_SAFE_WEIGHTS_NAME)
    return str(known.get("url") or weights)


def _network(visual: Any, name: str, weights: str, *, projected: bool) -> Network:
    preprocess = visual.preprocess_cfg
    architecture = f"open_clip/{name}"
    if hasattr(visual, "trunk"):  # a network of timm's, then a projection
        module: nn.Module = visual if projected else visual.trunk
        prefix_tokens = int(getattr(visual.trunk, "num_prefix_tokens", 0))
    else:
        module = visual
        prefix_tokens = 1 if hasattr(visual, "class_embedding") else 0
        if not projected and getattr(visual, "proj", None) is not None:
            visual.proj = None
    if projected:
        architecture += ", projected"
    size = preprocess["size"]
    edge = size if isinstance(size, int) else size[0]
    squash = preprocess["resize_mode"] == "squash"
    if preprocess["resize_mode"] == "longest" or (not isinstance(size, int) and size[0] != size[1]):
        raise InvalidInputError(
            f"open_clip/{name} pads images or takes no squares ({preprocess}): not supported"
        )
    return Network(
        module=module.eval(),
        architecture=architecture,
        weights=weights,
        transform=Transform(
            geometry="squash" if squash else "resize-crop",
            size=edge,
            resize=None if squash else edge,
            interpolation=preprocess["interpolation"],
            mean=tuple(preprocess["mean"]),
            std=tuple(preprocess["std"]),
        ),
        head=(),
        penultimate=whole(module, architecture),
        prefix_tokens=prefix_tokens,
    )
