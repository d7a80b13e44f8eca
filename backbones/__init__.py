"""Backbones: frozen networks behind the `featstore.encoder.Encoder` protocol.

Importing this package does not import torch; opening a backbone does.
"""

from typing import Any

from featstore.backbones.describe import describe
from featstore.backbones.load import load_encoder
from featstore.backbones.mark import mark
from featstore.backbones.source import Source, feature_name, parse_source
from featstore.encoder import Encoder
from featstore.optional import import_optional

__all__ = [
    "Source",
    "describe",
    "export_onnx",
    "feature_name",
    "load_encoder",
    "mark",
    "parse_source",
]


def export_onnx(encoder: Encoder) -> Any:
    """Write an encoder as an ``onnx.ModelProto``; see `featstore.backbones.onnx_export.to_onnx`."""
    return import_optional("featstore.backbones.onnx_export", extra="export").to_onnx(encoder)
