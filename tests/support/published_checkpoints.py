"""Checkpoints as the published code of each family writes them, built from real modules.

Every case pairs what would be saved with a module that computes what that code's own evaluation
computes.  Key layouts were read in the named repositories; the modules are ours.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision import models

State = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Case:
    """A checkpoint and what it must become."""

    content: Any
    features: Callable[[Tensor], Tensor]
    family: str | None
    architecture: str
    size: int = 64
    mean_std: tuple[float, float] | None = None


def resnet(name: str = "resnet18", **changes: nn.Module) -> Any:
    module = models.get_model(name, **{"zero_init_residual": False})
    for attribute, child in changes.items():
        setattr(module, attribute, child)
    return lively(module)


def lively(module: nn.Module) -> nn.Module:
    """Give batch normalisation statistics and affine parameters that matter."""
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            nn.init.uniform_(child.running_mean, -0.1, 0.1)
            nn.init.uniform_(child.running_var, 0.8, 1.2)
            nn.init.uniform_(child.weight, 0.8, 1.2)
            nn.init.uniform_(child.bias, -0.1, 0.1)
    return module.eval()


def headless(module: Any) -> Any:
    module.fc = nn.Identity()
    return module


def vit(**options: Any) -> Any:
    from timm.models.vision_transformer import VisionTransformer

    usual = {"img_size": 64, "embed_dim": 192, "depth": 2, "num_heads": 3, "num_classes": 0}
    return VisionTransformer(**(usual | options)).eval()  # type: ignore[no-untyped-call]


def mlp(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
    return nn.Sequential(*layers[:-2])


def module_of(**children: Any) -> nn.Module:
    module = nn.Module()
    for name, child in children.items():
        if isinstance(child, nn.Module):
            setattr(module, name, child)
        else:
            module.register_buffer(name, child)
    return module


def parallel(module: nn.Module) -> State:
    """Save a module as wrapped by DataParallel or DistributedDataParallel."""
    return nn.DataParallel(module).state_dict()


def features_of(network: Any) -> Callable[[Tensor], Tensor]:
    """The network with its head taken off, after its state was saved."""
    return headless(network)


def moco(head: nn.Module, family: str) -> Case:
    """facebookresearch/moco: main_moco.py saves DistributedDataParallel(MoCo)."""
    query, key = resnet(fc=head), resnet(fc=mlp(512, 8))
    wrapped = module_of(
        encoder_q=query, encoder_k=key, queue=torch.randn(8, 16), queue_ptr=torch.zeros(1).long()
    )
    content = {"epoch": 200, "arch": "resnet18", "state_dict": parallel(wrapped), "optimizer": {}}
    return Case(content, features_of(query), family, "torchvision/resnet18")


def moco_v1() -> Case:
    return moco(nn.Linear(512, 8), "MoCo v1")


def moco_v2() -> Case:
    head = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 8))
    return moco(head, "MoCo v2")


def moco_v3_resnet() -> Case:
    base, momentum = resnet(fc=mlp(512, 32, 8)), resnet(fc=mlp(512, 32, 8))
    wrapped = module_of(base_encoder=base, momentum_encoder=momentum, predictor=mlp(8, 8, 8))
    content = {"epoch": 1, "arch": "resnet18", "state_dict": parallel(wrapped)}
    return Case(content, features_of(base), "MoCo v3", "torchvision/resnet18")


def moco_v3_vit() -> Case:
    """facebookresearch/moco-v3, vits.py: the small one has 12 heads, timm's has 6."""
    base, momentum = (vit(embed_dim=384, num_heads=12) for _ in range(2))
    evaluated = base
    base.head, momentum.head = mlp(384, 32, 8), mlp(384, 32, 8)
    wrapped = module_of(base_encoder=base, momentum_encoder=momentum, predictor=mlp(8, 8, 8))
    content = {"epoch": 1, "arch": "vit_small", "state_dict": parallel(wrapped)}
    base.head = nn.Identity()
    name = "timm/vit_small_patch16_224 (depth=2, num_heads=12)"
    return Case(content, evaluated, "MoCo v3", name)


def byol() -> Case:
    """lucidrains/byol-pytorch: the learner holds the network twice."""
    net, target = resnet(), resnet()
    online = module_of(net=net, projector=mlp(512, 8))
    learner = module_of(
        net=net,
        online_encoder=online,
        target_encoder=module_of(net=target, projector=mlp(512, 8)),
        online_predictor=mlp(8, 8),
    )
    content = learner.state_dict()
    return Case(content, features_of(net), "BYOL", "torchvision/resnet18")


def swav() -> Case:
    """facebookresearch/swav: the published file is the state dict itself, behind ``module.``."""
    network = headless(resnet("resnet50"))
    network.projection_head = mlp(2048, 32, 8)
    network.prototypes = nn.Linear(8, 30, bias=False)
    return Case(parallel(network), network, "SwAV", "torchvision/resnet50")


def barlow_twins() -> Case:
    backbone = headless(resnet())
    wrapped = module_of(
        backbone=backbone, projector=mlp(512, 32, 32), bn=nn.BatchNorm1d(32, affine=False)
    )
    content = {"epoch": 9, "model": parallel(wrapped), "optimizer": {"state": {0: {}}}}
    return Case(content, backbone, "Barlow Twins", "torchvision/resnet18")


def vicreg() -> Case:
    backbone = headless(resnet())
    wrapped = module_of(backbone=backbone, projector=mlp(512, 32, 32))
    return Case(
        {"epoch": 9, "model": parallel(wrapped)}, backbone, "VICReg", "torchvision/resnet18"
    )


def dino() -> Case:
    """facebookresearch/dino: the full checkpoint, with the arguments of its parser."""
    student, teacher = vit(), vit()
    content = {
        "student": parallel(module_of(backbone=student, head=mlp(192, 8))),
        "teacher": module_of(backbone=teacher, head=mlp(192, 8)).state_dict(),
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": []},
        "epoch": 100,
        "args": argparse.Namespace(arch="vit_tiny", lr=5e-4),
        "dino_loss": {"center": torch.zeros(1, 8)},
    }
    return Case(content, teacher, "DINO", "timm/vit_tiny_patch16_224 (depth=2)")


def dino_resnet() -> Case:
    """The published backbone alone: nothing says DINO, everything says ResNet-50."""
    network = headless(resnet("resnet50"))
    return Case(network.state_dict(), network, None, "torchvision/resnet50")


def dinov2(*, registers: int, chunked: bool) -> Case:
    """facebookresearch/dinov2: blocks in chunks, a position of the class token, registers."""
    network = vit(embed_dim=384, num_heads=6, patch_size=14, img_size=56, init_values=1e-1, depth=4)
    tokens = nn.Parameter(torch.randn(1, registers, 384))
    state: State = {}
    for name, tensor in network.state_dict().items():
        parts = name.split(".")
        if chunked and parts[0] == "blocks":
            parts.insert(1, str(int(parts[1]) // 2))
        state[".".join(parts)] = tensor
    state["mask_token"] = torch.zeros(1, 384)
    if registers:
        state["register_tokens"] = tokens

    def features(images: Tensor) -> Tensor:
        x = network.patch_embed(images)
        x = torch.cat([network.cls_token.expand(len(x), -1, -1), x], 1) + network.pos_embed
        x = torch.cat([x[:, :1], tokens.expand(len(x), -1, -1), x[:, 1:]], 1)
        for block in network.blocks:
            x = block(x)
        cls: Tensor = network.norm(x)[:, 0]
        return cls

    content: Any = state
    if chunked:
        backbone = {f"backbone.{name}": tensor for name, tensor in state.items()}
        content = {"teacher": {**backbone, "dino_head.mlp.0.weight": torch.zeros(2, 384)}}
    reg = "_reg4" if registers else ""
    return Case(content, features, "DINOv2", f"timm/vit_small_patch14{reg}_dinov2 (depth=4)", 56)


def dinov2_published() -> Case:
    return dinov2(registers=0, chunked=False)


def dinov2_registers() -> Case:
    return dinov2(registers=4, chunked=True)


def mae() -> Case:
    """facebookresearch/mae: encoder and decoder side by side, below ``model``."""
    network = vit(embed_dim=768, num_heads=12)
    decoder = module_of(
        decoder_embed=nn.Linear(768, 32),
        decoder_norm=nn.LayerNorm(32),
        decoder_pred=nn.Linear(32, 8),
    )
    content = {
        "model": {
            **network.state_dict(),
            "mask_token": torch.zeros(1, 1, 32),
            "decoder_pos_embed": torch.zeros(1, 17, 32),
            **decoder.state_dict(),
        },
        "args": argparse.Namespace(mask_ratio=0.75),
    }
    return Case(content, network, "MAE", "timm/vit_base_patch16_224 (depth=2)")


def vissl() -> Case:
    network = resnet("resnet50")
    trunk = {
        f"_feature_blocks.{name}": tensor
        for name, tensor in network.state_dict().items()
        if not name.startswith("fc.")
    }
    heads = {"0.clf.0.weight": torch.zeros(8, 2048)}
    content = {
        "phase_idx": 99,
        "classy_state_dict": {
            "train": True,
            "base_model": {"model": {"trunk": trunk, "heads": heads}, "meters": {}},
            "optimizer": {"optim": {"state": {0: {"momentum_buffer": torch.zeros(2)}}}},
        },
    }
    return Case(content, features_of(network), "VISSL", "torchvision/resnet50")


def solo_learn_cifar() -> Case:
    """vturrisi/solo-learn, BaseMethod with cifar=True: 3 x 3, stride 1, padded by 2."""
    stems = [nn.Conv2d(3, 64, 3, 1, 2, bias=False) for _ in range(2)]
    network, momentum = (headless(resnet(conv1=stem, maxpool=nn.Identity())) for stem in stems)
    method = module_of(
        backbone=network,
        classifier=nn.Linear(512, 10),
        projector=mlp(512, 32, 8),
        momentum_backbone=momentum,
        momentum_projector=mlp(512, 32, 8),
    )
    content = {
        "epoch": 999,
        "pytorch-lightning_version": "1.6.4",
        "state_dict": method.state_dict(),
        "hyper_parameters": {"cifar": True},
    }
    return Case(
        content, network, "solo-learn", "torchvision/resnet18 (stem=cifar-padding2)", size=32
    )


def lightning_simclr() -> Case:
    """Lightning modules with ``encoder`` and ``projection``, as bolts has them."""
    network = resnet("resnet50")
    method = module_of(encoder=network, projection=module_of(model=mlp(2048, 32, 8)))
    content = {"state_dict": method.state_dict(), "pytorch-lightning_version": "2.0"}
    return Case(content, features_of(network), "SimCLR", "torchvision/resnet50")


def lightly_simclr() -> Case:
    """lightly's examples: Sequential(*children()[:-1]) and a projection head of layers."""
    network = resnet()
    backbone = nn.Sequential(*list(network.children())[:-1])
    head = module_of(layers=mlp(512, 32, 8))
    method = module_of(backbone=backbone, projection_head=head)
    content = {"state_dict": method.state_dict()}
    return Case(content, features_of(network), "lightly", "torchvision/resnet18")


def lightly_moco_cifar() -> Case:
    """lightly's CIFAR-10 benchmark: its own ResNet, with a momentum twin.

    The Sequential of its children loses the ReLU after the stem, which is a function there.
    """
    networks = [lively(CifarResNet()) for _ in range(2)]
    query, key = (
        nn.Sequential(*list(network.children())[:-1], nn.AdaptiveAvgPool2d(1))
        for network in networks
    )
    method = module_of(
        backbone=query,
        backbone_momentum=key,
        projection_head=module_of(layers=mlp(512, 8)),
        projection_head_momentum=module_of(layers=mlp(512, 8)),
    )
    architecture = "torchvision/resnet18 (stem=cifar-linear)"
    content = {"state_dict": method.state_dict()}
    return Case(content, lambda x: query(x).flatten(1), "lightly", architecture, size=32)


def sup_contrast() -> Case:
    """HobbitLong/SupContrast: DataParallel on the encoder alone; CIFAR's stem, shortcuts."""
    network: Any = lively(CifarResNet())
    del network.linear
    content = {
        "opt": argparse.Namespace(model="resnet18"),
        "model": module_of(encoder=nn.DataParallel(network), head=mlp(512, 8)).state_dict(),
        "epoch": 1000,
    }
    return Case(content, network, "SupContrast", "torchvision/resnet18 (stem=cifar)", size=32)


def simclr_v2() -> Case:
    """Separius/SimCLRv2-Pytorch: Google's weights, twice as wide, pixels in [0, 1]."""
    network = lively(SimCLRv2(width=2))
    content = {"resnet": network.state_dict(), "head": module_of(layers=mlp(4096, 8)).state_dict()}
    architecture = "torchvision/resnet50 (width=2)"
    return Case(content, network, "SimCLRv2", architecture, mean_std=(0.0, 1.0))


class CifarBlock(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            convolution = nn.Conv2d(before, after, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(out + self.shortcut(x))


class CifarResNet(nn.Module):
    """ResNet-18 as CIFAR code names it: ``shortcut``, ``linear``, no pooling in the stem."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        widths = [64, 64, 128, 256, 512]
        for stage in range(1, 5):
            before, after, stride = widths[stage - 1], widths[stage], 1 if stage == 1 else 2
            blocks = CifarBlock(before, after, stride), CifarBlock(after, after, 1)
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return x.mean((2, 3))


def normalised(channels: int, *, relu: bool) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU() if relu else nn.Identity())


class SimCLRv2Block(nn.Module):
    def __init__(self, before: int, inner: int, stride: int, *, project: bool) -> None:
        super().__init__()
        after = 4 * inner
        self.projection: nn.Module = nn.Identity()
        if project:
            self.projection = module_of(
                shortcut=nn.Conv2d(before, after, 1, stride, bias=False),
                bn=normalised(after, relu=False),
            )
        self.project = project
        self.net = nn.Sequential(
            nn.Conv2d(before, inner, 1, bias=False),
            normalised(inner, relu=True),
            nn.Conv2d(inner, inner, 3, stride, 1, bias=False),
            normalised(inner, relu=True),
            nn.Conv2d(inner, after, 1, bias=False),
            normalised(after, relu=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        skip: Any = self.projection
        shortcut = skip.bn(skip.shortcut(x)) if self.project else x
        return functional.relu(shortcut + self.net(x))


class SimCLRv2(nn.Module):
    def __init__(self, *, width: int) -> None:
        super().__init__()
        channels = 64 * width
        stages: list[nn.Module] = [
            nn.Sequential(
                nn.Conv2d(3, channels, 7, 2, 3, bias=False),
                normalised(channels, relu=True),
                nn.MaxPool2d(3, 2, 1),
            )
        ]
        before = channels
        for stage, depth in enumerate((3, 4, 6, 3)):
            inner = channels * 2**stage
            blocks = []
            for block in range(depth):
                stride = 2 if stage and not block else 1
                blocks.append(SimCLRv2Block(before, inner, stride, project=not block))
                before = 4 * inner
            stages.append(module_of(blocks=nn.ModuleList(blocks)))
        self.net = nn.Sequential(*stages)
        self.fc = nn.Linear(before, 10)

    def forward(self, x: Tensor) -> Tensor:
        stem, *stages = self.net
        x = stem(x)
        for stage in stages:
            for block in stage.blocks:  # type: ignore[union-attr]
                x = block(x)
        return x.mean((2, 3))


CASES: tuple[Callable[[], Case], ...] = (
    moco_v1,
    moco_v2,
    moco_v3_resnet,
    moco_v3_vit,
    byol,
    swav,
    barlow_twins,
    vicreg,
    dino,
    dino_resnet,
    dinov2_published,
    dinov2_registers,
    mae,
    vissl,
    solo_learn_cifar,
    lightning_simclr,
    lightly_simclr,
    lightly_moco_cifar,
    sup_contrast,
    simclr_v2,
)
