"""FeaturesModule: what an encoder computes, as the module that exporters ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from featstore.backbones.torch_encoder import TorchEncoder


class FeaturesModule(nn.Module):
    """From normalised images, shape (n, 3, size, size), to features, shape (n, dim)."""

    def __init__(self, encoder: TorchEncoder) -> None:
        super().__init__()
        self.network = encoder.module  # whose weights become the graph's
        self.features = encoder.features

    def forward(self, images: Tensor) -> Tensor:
        """Compute the features."""
        return self.features(images)
