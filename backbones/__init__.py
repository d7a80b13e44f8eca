"""Backbones: frozen networks behind the `featstore.encoder.Encoder` protocol.

Importing this package does not import torch; opening a backbone does.
"""

from featstore.backbones.describe import describe
from featstore.backbones.load import load_encoder
from featstore.backbones.mark import mark
from featstore.backbones.source import Source, feature_name, parse_source

__all__ = ["Source", "describe", "feature_name", "load_encoder", "mark", "parse_source"]
