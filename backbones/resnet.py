"""ResNet: torchvision's, with the stems and widths that self-supervised learning uses.

Their tensors' names are torchvision's; what differs shows in shapes alone, and padding not even
there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from featstore.errors import InvalidInputError

Stem = Literal["imagenet", "cifar", "cifar-padding2", "cifar-linear"]

_DEPTHS: dict[tuple[str, tuple[int, ...]], str] = {
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "resnet34",
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("bottleneck", (3, 4, 23, 3)): "resnet101",
    ("bottleneck", (3, 8, 36, 3)): "resnet152",
    ("bottleneck", (3, 24, 36, 3)): "resnet200",
}
# torchvision's names for other groups and widths of a bottleneck: (groups, width per group).
_NAMED = {
    ("resnet50", 32, 4): "resnext50_32x4d",
    ("resnet101", 32, 8): "resnext101_32x8d",
    ("resnet101", 64, 4): "resnext101_64x4d",
    ("resnet50", 1, 128): "wide_resnet50_2",
    ("resnet101", 1, 128): "wide_resnet101_2",
}


@dataclass(frozen=True)
class ResNetPlan:
    """What it takes to build a ResNet.

    Attributes
    ----------
    block
        ``"basic"`` or ``"bottleneck"``.
    depths
        Blocks per stage.
    width
        How many times wider all stages are (SimCLR's 2x and 4x).
    groups, base_width
        Of the 3 x 3 convolutions in a bottleneck, as torchvision's.
    stem
        ``"imagenet"``: 7 x 7, stride 2, max pooling.  ``"cifar"``: 3 x 3, stride 1, no pooling
        (Chen et al. 2020, appendix B.9).  ``"cifar-padding2"``: the same padded by 2, as
        solo-learn's.  ``"cifar-linear"``: without the ReLU too, as lightly's Sequential of its own
        ResNet's children computes.
    """

    block: Literal["basic", "bottleneck"]
    depths: tuple[int, ...]
    width: int = 1
    groups: int = 1
    base_width: int = 64
    stem: Stem = "imagenet"

    @property
    def name(self) -> str:
        """Torchvision's name, as far as there is one; variations in brackets."""
        depth = sum(self.depths) * (2 if self.block == "basic" else 3) + 2
        base = _DEPTHS.get((str(self.block), self.depths), f"resnet{depth}")
        named = _NAMED.get((base, self.groups, self.base_width)) if self.width == 1 else None
        changed = {"width": (self.width, 1)}
        if named is None:
            changed |= {"groups": (self.groups, 1), "base_width": (self.base_width, 64)}
        changed_stem = {"stem": (self.stem, "imagenet")}
        parts = [
            f"{key}={value}"
            for key, (value, usual) in (changed | changed_stem).items()
            if value != usual
        ]
        return (named or base) + (f" ({', '.join(parts)})" if parts else "")

    @property
    def is_torchvisions(self) -> bool:
        """Whether torchvision builds this network under its name."""
        return "(" not in self.name and self.name != "resnet200" and self._known

    @property
    def _known(self) -> bool:
        return (self.block, self.depths) in _DEPTHS

    def build(self, *, n_classes: int = 1000) -> nn.Module:
        """Build the network with freshly drawn weights from torch's global generator."""
        module: nn.Module = _Wide(self, n_classes=n_classes)
        return module.eval()


class _Wide(ResNet):  # type: ignore[misc]
    """torchvision's network, all of whose stages are `width` times wider."""

    def __init__(self, plan: ResNetPlan, *, n_classes: int) -> None:
        self._width = plan.width
        self._begun = False
        block = BasicBlock if plan.block == "basic" else Bottleneck
        depths = list(plan.depths)
        super().__init__(block, depths, groups=plan.groups, width_per_group=plan.base_width)
        channels = 64 * plan.width
        cifar = plan.stem != "imagenet"
        kernel, stride = (3, 1) if cifar else (7, 2)
        padding = {"imagenet": 3, "cifar-padding2": 2}.get(plan.stem, 1)
        self.conv1 = nn.Conv2d(3, channels, kernel, stride, padding, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        if cifar:
            self.maxpool = nn.Identity()
        if plan.stem == "cifar-linear":
            self.relu = nn.Identity()  # the stem's; blocks have their own
        self.fc = nn.Linear(512 * plan.width * block.expansion, n_classes)

    def _make_layer(self, block: Any, planes: int, *rest: Any, **options: Any) -> nn.Sequential:
        if not self._begun:
            self._begun = True
            self.inplanes: int = 64 * self._width
        layer: nn.Sequential = super()._make_layer(block, planes * self._width, *rest, **options)
        return layer


def plan_of(state: Mapping[str, Tensor]) -> ResNetPlan | None:
    """Read a plan off the shapes of tensors in torchvision's names; None if they are another net.

    Examples
    --------
    >>> plan_of(ResNetPlan("bottleneck", (3, 4, 6, 3), width=2).build().state_dict()).name
    'resnet50 (width=2)'
    """
    try:
        stem = tuple(state["conv1.weight"].shape)
        inner = tuple(state["layer1.0.conv2.weight"].shape)
        first = state["layer1.0.conv1.weight"].shape[0]
    except KeyError:
        return None
    if len(stem) != 4 or stem[1] != 3 or stem[0] % 64 or stem[2] not in (3, 7):
        return None
    depths = tuple(
        len({name.split(".")[1] for name in state if name.startswith(f"layer{stage}.")})
        for stage in (1, 2, 3, 4)
    )
    if 0 in depths:
        return None
    bottleneck = "layer1.0.conv3.weight" in state
    planes = state["layer1.0.conv3.weight"].shape[0] // 4 if bottleneck else first
    plan = ResNetPlan(
        "bottleneck" if bottleneck else "basic",
        depths,
        width=stem[0] // 64,
        stem="imagenet" if stem[2] == 7 else "cifar",
    )
    if planes != stem[0]:
        return None
    if bottleneck:
        groups = inner[0] // inner[1]
        plan = replace(plan, groups=groups, base_width=inner[0] * 64 // (groups * planes))
    return plan


def with_stem(plan: ResNetPlan, stem: str) -> ResNetPlan:
    """Return a plan with another stem.

    Raises
    ------
    InvalidInputError
        If there is no such stem.
    """
    for known in get_args(Stem):
        if known == stem:
            return replace(plan, stem=known)
    raise InvalidInputError(f"stem {stem!r} is not one of {', '.join(get_args(Stem))}")
