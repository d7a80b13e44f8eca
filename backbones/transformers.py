"""transformers: vision models from the Hugging Face hub or from a folder that it saved.

The default layer is the normalised class token; of models without one, and of CLIP's and SigLIP's
image towers, transformers' own pooled output.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    CLIPVisionModel,
    SiglipVisionModel,
    ViTModel,
)

from featstore.backbones.by_hand import reason
from featstore.backbones.foreign import unknown_transform
from featstore.backbones.network import Network
from featstore.backbones.settings import TRANSFORM_OPTIONS, Settings
from featstore.backbones.source import LAYER_OPTIONS, Source
from featstore.backbones.torch_encoder import TorchEncoder, torch_encoder
from featstore.errors import InvalidInputError, WeightsError
from featstore.transform import Transform

_TOWERS: dict[str, Any] = {
    "clip": CLIPVisionModel,
    "clip_vision_model": CLIPVisionModel,
    "siglip": SiglipVisionModel,
    "siglip_vision_model": SiglipVisionModel,
    "vit_mae": ViTModel,  # ViTMAEModel drops and shuffles patches at random
}
_POOLED = ("clip", "clip_vision_model", "siglip", "siglip_vision_model")
_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers


class _Vision(nn.Module):
    """Takes images alone, at any size that the model can interpolate to."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        parameters = inspect.signature(model.forward).parameters
        self._options = (
            {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in parameters else {}
        )

    def forward(self, images: Tensor) -> Any:
        return self.model(pixel_values=images, **self._options)


def open_encoder(source: Source, settings: Settings) -> TorchEncoder:
    """Open ``hf:OWNER/MODEL`` or ``hf:FOLDER``."""
    source.check_options(*LAYER_OPTIONS, *TRANSFORM_OPTIONS)
    return torch_encoder(pretrained(source.model), source, settings)


def pretrained(address: str) -> Network:
    """Load a vision model.

    Parameters
    ----------
    address
        A repository of the hub, or a folder that ``save_pretrained`` wrote.

    Raises
    ------
    WeightsError
        If it cannot be had.
    InvalidInputError
        If it is no vision model.
    """
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            config = AutoConfig.from_pretrained(address)
            loader = _TOWERS.get(config.model_type, AutoModel)
            options = {"add_pooling_layer": False} if _has_no_use_for_pooler(config) else {}
            model = loader.from_pretrained(address, dtype=torch.float32, **options)
            transform = _transform(address)
    except Exception as error:  # whatever the hub's client and its transport raise
        raise WeightsError(
            f"cannot load hf:{address}: {reason(error)}. Where there is a network, `hf download "
            f"{address} --local-dir FOLDER` fetches config.json, preprocessor_config.json and "
            "model.safetensors; then give hf:FOLDER"
        ) from error
    if model.main_input_name != "pixel_values":
        raise InvalidInputError(
            f"hf:{address} is a {config.model_type} model, which takes {model.main_input_name} and "
            "not images"
        )
    vision = _Vision(model).eval()
    has_class = _has_class_token(model)
    pooled = config.model_type in _POOLED or not has_class

    def tokens(images: Tensor) -> Tensor:
        last: Tensor = vision(images).last_hidden_state
        return last

    def penultimate(images: Tensor) -> Tensor:
        output = vision(images)
        if pooled and getattr(output, "pooler_output", None) is not None:
            return output.pooler_output.flatten(1)  # type: ignore[no-any-return]
        last: Tensor = output.last_hidden_state
        return last[:, 0] if has_class else last

    registers = int(getattr(config, "num_register_tokens", 0) or 0)
    return Network(
        module=vision,
        architecture=f"transformers/{type(model).__name__}",
        weights=address,
        transform=transform,
        head=(),
        penultimate=penultimate,
        prefix_tokens=1 + registers if has_class else 0,
        tokens=tokens,
    )


def _has_no_use_for_pooler(config: Any) -> bool:
    return config.model_type in ("vit", "vit_mae", "deit")  # a tanh layer that pretraining lacks


def _has_class_token(model: nn.Module) -> bool:
    names = ("cls_token", "class_embedding")
    return any(name.rpartition(".")[2] in names for name, _ in model.named_parameters())


def _transform(address: str) -> Transform:
    """Read the published preprocessing; ImageNet's usual one where a folder has none."""
    try:
        processor: Any = AutoImageProcessor.from_pretrained(address)  # type: ignore[no-untyped-call]
    except (OSError, ValueError):
        return unknown_transform()
    mean, std = (tuple(getattr(processor, f"image_{key}")) for key in ("mean", "std"))
    size, crop = dict(processor.size), getattr(processor, "crop_size", None)
    resample = getattr(processor, "resample", 2)
    interpolation: Any = _FILTERS[int(getattr(resample, "value", resample) or 0)]
    if crop and getattr(processor, "do_center_crop", False):
        edge = int(dict(crop)["height"])
        short = int(size.get("shortest_edge") or size["height"])
        return Transform(size=edge, resize=short, interpolation=interpolation, mean=mean, std=std)
    if "height" in size:
        return Transform(
            geometry="squash",
            size=int(size["height"]),
            resize=None,
            interpolation=interpolation,
            mean=mean,
            std=std,
        )
    edge = int(size["shortest_edge"])
    fraction = float(getattr(processor, "crop_pct", None) or 1)
    return Transform(
        size=edge, resize=int(edge / fraction), interpolation=interpolation, mean=mean, std=std
    )
