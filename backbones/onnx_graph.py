"""ONNX graphs: cut at any tensor, digested by content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto, numpy_helper

from featstore.errors import InvalidInputError
from featstore.suggest import did_you_mean


def cut(model: ModelProto, output: str) -> ModelProto:
    """Reduce a model to what computes one tensor, which becomes its only output.

    Parameters
    ----------
    model
        Not changed.
    output
        Any tensor that a node computes; an inner one or an output.

    Returns
    -------
    model
        With the nodes, weights and inputs that the tensor depends on, in their order.

    Raises
    ------
    InvalidInputError
        If no node computes such a tensor.
    """
    graph = model.graph
    computed = [name for node in graph.node for name in node.output if name]
    if output not in computed:
        raise InvalidInputError(
            f"the ONNX graph computes no tensor {output!r}. {did_you_mean(output, computed)} "
            'List all by: python -c "import onnx; [print(*n.output) for n in '
            'onnx.load(FILE, load_external_data=False).graph.node]"'
        )
    needed, nodes = {output}, []
    for node in reversed(graph.node):  # ONNX keeps nodes in topological order
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(_inputs(node))
    known = {value.name: value for value in (*graph.output, *graph.value_info)}
    smaller = ModelProto()
    smaller.CopyFrom(model)
    for field, kept in (
        ("node", nodes[::-1]),
        ("initializer", [t for t in graph.initializer if t.name in needed]),
        ("sparse_initializer", [t for t in graph.sparse_initializer if t.values.name in needed]),
        ("input", [value for value in graph.input if value.name in needed]),
        ("output", [known.get(output, ValueInfoProto(name=output))]),
        ("value_info", []),
    ):
        smaller.graph.ClearField(field)
        getattr(smaller.graph, field).extend(kept)
    return smaller


def graph_inputs(model: ModelProto) -> list[ValueInfoProto]:
    """List the inputs that must be fed; old exporters list weights among the inputs too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def graph_digest(model: ModelProto, *, folder: Path) -> str:
    """Sha256 over weights, nodes and operator versions.

    Parameters
    ----------
    model
        As `cut` returned it.
    folder
        Where the model's external data lies.
    """
    sha = hashlib.sha256()
    for tensor in sorted(model.graph.initializer, key=lambda tensor: tensor.name):
        values = numpy_helper.to_array(tensor, base_dir=str(folder))
        sha.update(f"{tensor.name}\0{values.dtype}\0{values.shape}\0".encode())
        sha.update(values.tobytes())
    for message in (
        *model.graph.sparse_initializer,
        *model.graph.node,
        *model.functions,
        *sorted(model.opset_import, key=lambda opset: opset.domain),
    ):
        sha.update(message.SerializeToString(deterministic=True))
    return sha.hexdigest()


def read_graph(path: Path) -> ModelProto:
    """Read a model without its external data.

    Raises
    ------
    InvalidInputError
        If the file is no ONNX model.
    """
    try:
        model: ModelProto = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's DecodeError is private to its implementation
        raise InvalidInputError(f"{path} is no ONNX model: {error}") from error
    if not model.graph.node:
        raise InvalidInputError(f"{path} is no ONNX model: its graph is empty")
    return model


def _inputs(node: NodeProto) -> Iterable[str]:
    """Tensors that a node reads, also from within the branches and loops that it holds."""
    yield from node.input
    for attribute in node.attribute:
        graphs: list[GraphProto] = []
        if attribute.type == AttributeProto.GRAPH:
            graphs = [attribute.g]
        elif attribute.type == AttributeProto.GRAPHS:
            graphs = list(attribute.graphs)
        for graph in graphs:
            # A branch's result may be a tensor of the outer graph itself.
            yield from (value.name for value in graph.output)
            for inner in graph.node:
                yield from _inputs(inner)
