"""torchvision: its classification networks, with its weights or none.

The default layer is the input of the head's first Linear (or Conv2d) layer:

====================================  =============================================
resnet, regnet, googlenet, inception  pooled map, before ``fc``
densenet, efficientnet, mobilenet     pooled map, before ``classifier``
convnext, maxvit                      pooled and normalised map, inside ``classifier``
alexnet, vgg                          pooled map (6 x 6, 7 x 7), flattened
squeezenet                            map before the final convolution, averaged
vit                                   normalised class token, before ``heads``
swin                                  normalised and pooled map, before ``head``
====================================  =============================================

With ``pool=tokens`` it is the encoder's normalised output, for ``vit``.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torchvision import models

from featstore.backbones.by_hand import reason
from featstore.backbones.layer import tap
from featstore.backbones.network import Network
from featstore.backbones.resnet import ResNetPlan
from featstore.backbones.settings import TRANSFORM_OPTIONS, Settings
from featstore.backbones.source import LAYER_OPTIONS, Source
from featstore.backbones.torch_encoder import TorchEncoder, torch_encoder
from featstore.errors import InvalidInputError, WeightsError
from featstore.suggest import did_you_mean
from featstore.transform import Transform

_HEADS = ("fc", "classifier", "heads", "head")
_AUXILIARY = ("aux", "aux1", "aux2", "AuxLogits")  # classifiers that only training uses


def open_encoder(source: Source, settings: Settings) -> TorchEncoder:
    """Open ``torchvision/MODEL[@WEIGHTS]``."""
    source.check_options(*LAYER_OPTIONS, *TRANSFORM_OPTIONS)
    return torch_encoder(pretrained(source.model, source.weights), source, settings)


def names() -> list[str]:
    """All architectures that `untrained` builds."""
    return list(models.list_models(module=models))


def pretrained(name: str, weights: str | None) -> Network:
    """Build a network with torchvision's weights; by default its ``DEFAULT`` ones.

    Raises
    ------
    InvalidInputError
        If there is no such model or no such weights.
    WeightsError
        If the weights are neither cached nor to be had.
    """
    choices = _weights_of(name)
    if weights is None:
        chosen = choices.DEFAULT
    elif weights in choices.__members__:
        chosen = choices[weights]
    else:
        raise InvalidInputError(
            f"torchvision/{name} has no weights {weights!r}. "
            f"{did_you_mean(weights, choices.__members__)}"
        )
    try:
        module = _build(name, weights=chosen, progress=False)
    except (OSError, RuntimeError) as error:
        cache = f"{torch.hub.get_dir()}/checkpoints"
        raise WeightsError(
            f"cannot load weights {chosen.name} of torchvision/{name} from {chosen.url}: "
            f"{reason(error)}. Put that file into {cache}, or pass your own by "
            f"checkpoint:FILE?arch={name}"
        ) from error
    return _network(module, name, weights=chosen.name, transform=_transform(chosen))


def untrained(name: str, *, size: int | None = None) -> Network:
    """Build a network with freshly drawn weights from torch's global generator.

    Its transform is that of the model's first weights for 224 pixels; of the first ones, for
    models made for other sizes.

    Parameters
    ----------
    name
        One of `names`.
    size
        Input size, for those architectures that are tied to one (``vit``).

    Raises
    ------
    InvalidInputError
        If there is no such model.
    """
    transforms = [_transform(weights) for weights in _weights_of(name)]
    transform = next((t for t in transforms if t.size == 224), transforms[0])
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        # As their pretrained builders: inputs are renormalised inside.
        options = {"transform_input": True, "init_weights": True}
    elif name.startswith("vit_"):
        options = {"image_size": size or transform.size}
    return _network(_build(name, **options), name, weights="none", transform=transform)


def planned(plan: ResNetPlan) -> Network:
    """Build a ResNet, torchvision's own or a variant, with freshly drawn weights.

    Its transform is that of the torchvision network that it varies; 32 pixels, neither resized nor
    cropped, with one of CIFAR's stems.

    Examples
    --------
    >>> planned(ResNetPlan("basic", (2, 2, 2, 2), stem="cifar")).architecture
    'torchvision/resnet18 (stem=cifar)'
    """
    if plan.is_torchvisions:
        return untrained(plan.name)
    base = plan.name.partition(" ")[0]
    transform = untrained(base if base in names() else "resnet50").transform
    if plan.stem != "imagenet":
        transform = replace(transform, size=32, resize=32)
    return _network(plan.build(), plan.name, weights="none", transform=transform)


def _weights_of(name: str) -> Any:
    if name not in names():
        raise InvalidInputError(f"torchvision has no model {name!r}. {did_you_mean(name, names())}")
    return models.get_model_weights(name)


def _build(name: str, **options: Any) -> nn.Module:
    # The constructor draws an initialisation even when weights replace it.
    pretrained = "weights" in options
    # torch.hub says what it downloads on stdout, where results go.
    with (
        redirect_stdout(sys.stderr),
        warnings.catch_warnings(),
        torch.random.fork_rng(devices=[], enabled=pretrained),
    ):
        warnings.simplefilter("ignore")
        module: nn.Module = models.get_model(name, **options)
    return module.eval()


def _network(module: nn.Module, name: str, *, weights: str, transform: Transform) -> Network:
    head = _head(module)
    auxiliary = tuple(child for child in _AUXILIARY if hasattr(module, child))
    return Network(
        module=module,
        architecture=f"torchvision/{name}",
        weights=weights,
        transform=transform,
        head=(*head, *auxiliary),
        penultimate=tap(module, head[0], side="input"),
        prefix_tokens=1 if isinstance(module, models.VisionTransformer) else 0,
        tokens=tap(module, "encoder") if isinstance(module, models.VisionTransformer) else None,
    )


def _head(module: nn.Module) -> tuple[str, ...]:
    """Name the head's layers from its first Linear or Conv2d on."""
    root = next(child for child in _HEADS if hasattr(module, child))
    layers = [
        (f"{root}.{name}" if name else root, layer)
        for name, layer in module.get_submodule(root).named_modules()
    ]
    first = next(i for i, (_, x) in enumerate(layers) if isinstance(x, nn.Linear | nn.Conv2d))
    return tuple(name for name, _ in layers[first:])


def _transform(weights: Any) -> Transform:
    """Read the evaluation transform that torchvision publishes with its weights."""
    preset = weights.transforms()
    return Transform(
        geometry="resize-crop",
        size=preset.crop_size[0],
        resize=preset.resize_size[0],
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )
