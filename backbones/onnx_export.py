"""ONNX export: an encoder as a graph from pixels to features, normalisation included."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from featstore.backbones.onnx import OnnxEncoder
from featstore.backbones.onnx_graph import cut, graph_inputs, read_graph
from featstore.backbones.pooling import Pooling
from featstore.backbones.source import parse_source
from featstore.encoder import Encoder
from featstore.errors import InvalidInputError
from featstore.optional import import_optional
from featstore.transform import Transform

#: What torch's exporter writes by itself.
OPSET = 18
PIXELS, FEATURES = "pixels", "features"
_IMAGES = "normalised_images"
#: From here on the axes of a mean are an input, no attribute.
_AXES_ARE_INPUT = 18


def to_onnx(encoder: Encoder) -> ModelProto:
    """Write an encoder as an ONNX model.

    Parameters
    ----------
    encoder
        Of torch or of ONNX Runtime.  Whatever its precision, the graph is in float32.

    Returns
    -------
    model
        Takes ``pixels``, uint8 of shape (n, size, size, 3), and gives ``features``, float32 of
        shape (n, dim), for any n.

    Raises
    ------
    InvalidInputError
        If the encoder is of another kind, keeps tokens, or torch cannot write it.
    MissingDependencyError
        If torch's exporter lacks a package.

    Examples
    --------
    >>> from featstore.backbones import load_encoder
    >>> model = to_onnx(load_encoder("random/resnet18?size=32", device="cpu"))
    >>> [value.name for value in model.graph.input], [value.name for value in model.graph.output]
    (['pixels'], ['features'])
    """
    body = _graph_body(encoder) if isinstance(encoder, OnnxEncoder) else _torch_body(encoder)
    size = encoder.transform.size
    nodes, weights = _normalisation(encoder.transform)
    graph = helper.make_graph(
        [*nodes, *body.graph.node],
        "backbone",
        [helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, ["n", size, size, 3])],
        [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["n", encoder.spec.dim])],
        [*weights, *body.graph.initializer],
        sparse_initializer=body.graph.sparse_initializer,
    )
    return helper.make_model(
        graph,
        opset_imports=body.opset_import,
        ir_version=body.ir_version,
        functions=body.functions,
        producer_name="featstore",
    )


def _normalisation(transform: Transform) -> tuple[list[NodeProto], list[TensorProto]]:
    """From pixels (n, h, w, 3) to images (n, 3, h, w): scale to [0, 1], mean, deviation."""
    constants: dict[str, NDArray[np.float32]] = {
        "pixel_range": np.asarray(255, np.float32),
        "pixel_mean": np.asarray(transform.mean, np.float32).reshape(1, 3, 1, 1),
        "pixel_std": np.asarray(transform.std, np.float32).reshape(1, 3, 1, 1),
    }
    nodes = [
        helper.make_node("Cast", [PIXELS], ["pixel_floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixel_floats"], ["pixel_planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Div", ["pixel_planes", "pixel_range"], ["pixel_shares"]),
        helper.make_node("Sub", ["pixel_shares", "pixel_mean"], ["pixel_centred"]),
        helper.make_node("Div", ["pixel_centred", "pixel_std"], [_IMAGES]),
    ]
    return nodes, [_constant(name, value) for name, value in constants.items()]


def _torch_body(encoder: Any) -> ModelProto:
    """Let torch write what lies between normalised images and features."""
    # Both import torch, which an ONNX backbone does without.
    import_optional("onnxscript", extra="export")
    torch_export = import_optional("featstore.backbones.torch_graph", extra="export")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notes for developers of torch
        model: ModelProto = torch_export.traced(
            encoder, input_name=_IMAGES, output_name=FEATURES, opset=OPSET
        )
    return model


def _graph_body(encoder: OnnxEncoder) -> ModelProto:
    """Take the graph up to the encoder's tensor, with its weights inside, and pool that."""
    path = Path(parse_source(encoder.spec.source).model)
    model = cut(read_graph(path), encoder.spec.layer)
    onnx.external_data_helper.load_external_data_for_model(model, str(path.parent))
    (given,) = graph_inputs(model)
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    nodes, weights = _pooling(
        encoder.pooling,
        model.graph.output[0].name,
        shape=encoder.shape,
        prefix_tokens=encoder.prefix_tokens,
        opset=opset,
    )
    model.graph.node.insert(0, helper.make_node("Identity", [_IMAGES], [given.name]))
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(weights)
    return model


def _pooling(
    how: Pooling, tensor: str, *, shape: tuple[int, ...], prefix_tokens: int, opset: int
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes for what `featstore.backbones.pooling.pool` does."""
    weights: list[TensorProto] = []

    def mean(source: str, axes: tuple[int, ...], result: str) -> NodeProto:
        if opset < _AXES_ARE_INPUT:
            return helper.make_node("ReduceMean", [source], [result], axes=axes, keepdims=0)
        weights.append(_constant("pool_axes", np.asarray(axes, np.int64)))
        return helper.make_node("ReduceMean", [source, "pool_axes"], [result], keepdims=0)

    if how == "none":
        return [helper.make_node("Identity", [tensor], [FEATURES])], weights
    if how == "flatten":
        return [helper.make_node("Flatten", [tensor], [FEATURES], axis=1)], weights
    if how == "tokens":
        raise InvalidInputError("tokens (?pool=tokens) are not exported; choose another pooling")
    if len(shape) == 4:
        axes = (1, 2) if shape[1] == shape[2] != shape[3] else (2, 3)
        return [mean(tensor, axes, FEATURES)], weights
    nodes, parts = [], []
    for part in how.split("+"):
        if part == "cls":
            weights.append(_constant("pool_first", np.asarray(0, np.int64)))
            nodes.append(helper.make_node("Gather", [tensor, "pool_first"], ["pool_cls"], axis=1))
        else:
            bounds = {"starts": prefix_tokens, "ends": np.iinfo(np.int64).max, "axes": 1}
            weights += [
                _constant(f"pool_{k}_of_patches", np.asarray([v], np.int64))
                for k, v in bounds.items()
            ]
            names = [f"pool_{k}_of_patches" for k in bounds]
            nodes.append(helper.make_node("Slice", [tensor, *names], ["pool_patches"]))
            nodes.append(mean("pool_patches", (1,), "pool_mean"))
        parts.append(f"pool_{part}")
    nodes.append(helper.make_node("Concat", parts, [FEATURES], axis=1))
    return nodes, weights


def _constant(name: str, value: NDArray[Any]) -> TensorProto:
    return numpy_helper.from_array(value, name)
