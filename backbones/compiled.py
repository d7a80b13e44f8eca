"""Compiled networks: a torch encoder's network by torch's own compiler, for CUDA devices.

On CPUs it is not offered: other runtimes start at once there, and need no compiler.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from featstore.micro_batch import MicroBatch

if TYPE_CHECKING:
    from featstore.backbones.torch_encoder import TorchEncoder


def compiled(encoder: TorchEncoder) -> TorchEncoder:
    """Compile a network up to its layer, pooling included, for micro-batches of one size.

    Its operations are recorded first: hooks that end a forward pass are then gone.
    """
    images, size = encoder.micro_batch.full, encoder.transform.size
    example = torch.zeros(images, 3, size, size, device=encoder.device)

    def features(batch: Tensor) -> Tensor:
        return encoder.features(batch)

    with torch.no_grad():
        graph = make_fx(features)(example)
    run = torch.compile(graph, dynamic=False)

    def forward(batch: Tensor) -> list[Tensor]:
        return [run(batch)]

    return replace(
        encoder,
        forward=forward,
        poolings=("none",),
        prefix_tokens=0,
        micro_batch=MicroBatch(images, least=images),
        engine=f"{encoder.engine} inductor",
        backend="inductor",
    )
