"""ONNX: the backbones, the scaling and the head of a run as one graph, checked against the run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.exchange import KEY
from featstore.feature_encoder import FeatureEncoder
from featstore.html_report.provenance import describe
from featstore.image_prediction import run_encoders
from featstore.micro_batch import MicroBatch
from featstore.new_file import new_file
from featstore.optional import import_optional
from featstore.preparation import Preparation
from featstore.registry import backbones as backbone_loader
from featstore.run_exports.model import RunModel

PROBABILITIES = "probabilities"
#: Batches that the graph is tried on.
_TRIALS = (1, 3)
#: Far beyond rounding, far below what a wrong graph does.
_MOST = 0.02


def write(model: RunModel, path: Path) -> float:
    """Write the graph; return how far its probabilities are from the run's on images of noise.

    Input: ``pixels``, uint8 of shape (n, size, size, 3), images after the geometry that the
    metadata describe; where features need different geometries, ``pixels_<feature>`` for each.
    Output: ``probabilities``, float32 of shape (n, c), and ``features``, (n, d), unscaled.  The
    metadata's key ``featstore`` holds JSON: classes, inputs, specs, and all about the run.

    Raises
    ------
    InvalidInputError
        If a backbone cannot be written, or what was written computes something else.
    """
    import_optional("onnx", extra="export")
    import_optional("onnxruntime", extra="export")
    from featstore.run_exports.onnx_graph import OnnxClassifier

    head = model.head  # says at once if there is none
    encoders = run_encoders(model.store, model.run, backbones=model.backbones, device="cpu")
    inputs = _inputs(encoders)
    graph = OnnxClassifier.of(
        [backbone_loader().export_onnx(one.original) for one in encoders],
        pixels=[inputs[_geometry(one)] for one in encoders],
        head=head,
    )
    described = model.document() | {
        "inputs": {
            name: {
                "layout": "RGB, uint8, (n, size, size, 3)",
                "preparation": describe(preparation.transform, preparation.corruption),
                **_geometry_fields(preparation),
            }
            for preparation, name in inputs.items()
        }
    }
    content = graph.serialised(KEY, json.dumps(described, ensure_ascii=False))
    difference = _difference(content, model, encoders, inputs)
    if not difference <= _MOST:
        raise InvalidInputError(
            f"the exported graph gives other probabilities than the run, by up to "
            f"{difference:.3g}; its backbone does something that depends on the batch. Nothing "
            "was written"
        )
    with new_file(path) as temporary:
        temporary.write_bytes(content)
    return difference


def _geometry(encoder: FeatureEncoder) -> Preparation:
    """Whatever comes before the pixels; normalisation comes after them."""
    given = encoder.preparation
    neutral = dataclasses.replace(given.transform, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return Preparation(neutral, given.corruption)


def _geometry_fields(preparation: Preparation) -> dict[str, Any]:
    transform = preparation.transform
    return {
        "geometry": transform.geometry,
        "size": transform.size,
        "resize": transform.resize,
        "crop_fraction": transform.crop_fraction,
        "interpolation": transform.interpolation,
        "decode": transform.decode,
        "corruption": preparation.corruption.label if preparation.corruption else None,
    }


def _inputs(encoders: Sequence[FeatureEncoder]) -> dict[Preparation, str]:
    """Name one input for each geometry, after the first feature that needs it."""
    named: dict[Preparation, str] = {}
    for one in encoders:
        named.setdefault(_geometry(one), f"pixels_{one.name}")
    return named if len(named) > 1 else dict.fromkeys(named, "pixels")


def _difference(
    content: bytes,
    model: RunModel,
    encoders: Sequence[FeatureEncoder],
    inputs: dict[Preparation, str],
) -> float:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    largest = 0.0
    for n in _TRIALS:
        rng = np.random.default_rng(n)
        feed = {
            name: rng.integers(0, 256, (n, one.transform.size, one.transform.size, 3), np.uint8)
            for one, name in inputs.items()
        }
        try:
            (found,) = session.run([PROBABILITIES], feed)
        except Exception as error:  # onnxruntime's exceptions have no common public base
            raise InvalidInputError(
                f"the exported graph does not take {n} images at a time: {error}; its backbone was "
                "made for batches of a fixed size"
            ) from error
        own = _probabilities(
            model, encoders, {one: feed[inputs[_geometry(one)]] for one in encoders}
        )
        largest = max(largest, float(np.abs(found - own).max()))
    return largest


def _probabilities(
    model: RunModel,
    encoders: Sequence[FeatureEncoder],
    pixels: dict[FeatureEncoder, NDArray[np.uint8]],
) -> NDArray[np.float32]:
    blocks = [one.encode(pixels[one], MicroBatch(max(_TRIALS))) for one in encoders]
    return model.head.probabilities(np.concatenate(blocks, axis=1))
