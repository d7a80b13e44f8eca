"""Random networks: the honest baseline, an architecture with nothing learned."""

from __future__ import annotations

from dataclasses import replace

from featstore.backbones.architectures import untrained
from featstore.backbones.settings import TRANSFORM_OPTIONS, Settings
from featstore.backbones.source import LAYER_OPTIONS, Source
from featstore.backbones.torch_encoder import TorchEncoder, torch_encoder
from featstore.errors import InvalidInputError


def open_encoder(source: Source, settings: Settings) -> TorchEncoder:
    """Open ``random/ARCHITECTURE?seed=0``."""
    source.check_options("seed", *LAYER_OPTIONS, *TRANSFORM_OPTIONS)
    if source.weights is not None:
        raise InvalidInputError(
            f"backbone {source.text!r}: a random network has no weights {source.weights!r}; "
            "choose them by ?seed="
        )
    seed = source.integer("seed", default=0, minimum=0)
    size = source.integer("size", default=0, minimum=1) if "size" in source.options else None
    network = untrained(source.model, seed=seed, size=size)
    return torch_encoder(replace(network, weights=f"random(seed={seed})"), source, settings)
