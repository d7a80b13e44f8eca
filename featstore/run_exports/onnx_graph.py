"""OnnxClassifier: graphs of backbones joined, with a linear head behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from featstore.errors import InvalidInputError
from featstore.head import Head

_TINY = np.float32(1e-30)


@dataclass(frozen=True, eq=False)
class OnnxClassifier:
    """One graph from pixels to probabilities.

    Attributes
    ----------
    model
        Inputs as named, outputs ``probabilities`` and ``features``.
    """

    model: ModelProto

    @classmethod
    def of(cls, backbones: Sequence[ModelProto], *, pixels: Sequence[str], head: Head) -> Self:
        """Join graphs.

        Parameters
        ----------
        backbones
            As ``featstore.backbones.export_onnx`` gives them, in the order of the blocks.
        pixels
            Name of the input of each; equal names share one.
        head
            With scaling and link.

        Raises
        ------
        InvalidInputError
            If graphs of different ONNX versions cannot be brought to one.
        """
        parts = _of_one_version(backbones)
        inputs: dict[str, Any] = {}
        nodes: list[NodeProto] = []
        weights: list[TensorProto] = []
        sparse: list[Any] = []
        functions: dict[tuple[str, str], Any] = {}
        for i, (part, name) in enumerate(zip(parts, pixels, strict=True)):
            own = onnx.compose.add_prefix(part, f"backbone{i}/")
            shape = [dim.dim_value or "n" for dim in own.graph.input[0].type.tensor_type.shape.dim]
            inputs[name] = helper.make_tensor_value_info(name, TensorProto.UINT8, shape)
            nodes.append(helper.make_node("Identity", [name], [own.graph.input[0].name]))
            nodes.extend(own.graph.node)
            weights.extend(own.graph.initializer)
            sparse.extend(own.graph.sparse_initializer)
            functions |= {(f.domain, f.name): f for f in own.functions}
        features = [f"backbone{i}/features" for i in range(len(parts))]
        behind = _Head(head)
        nodes += behind.nodes(features)
        weights += behind.weights
        c, d = len(head.classes), head.coef.shape[1]
        graph = helper.make_graph(
            nodes,
            "featstore",
            list(inputs.values()),
            [
                helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", c]),
                helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", d]),
            ],
            weights,
            sparse_initializer=sparse,
        )
        versions = {entry.domain: entry for part in parts for entry in part.opset_import}
        model = helper.make_model(
            graph,
            opset_imports=list(versions.values()),
            ir_version=max(part.ir_version for part in parts),
            functions=list(functions.values()),
            producer_name="featstore",
        )
        return cls(model)

    def serialised(self, key: str, document: str) -> bytes:
        """Return the bytes of a file, with a document in its metadata.

        Raises
        ------
        InvalidInputError
            If it is larger than the 2 GB of one ONNX file.
        """
        helper.set_model_props(self.model, {key: document})
        try:
            onnx.checker.check_model(self.model)
            content: bytes = self.model.SerializeToString()
        except ValueError as error:  # of protobuf
            raise InvalidInputError(
                f"the model does not fit into one ONNX file, which is 2 GB at most: {error}"
            ) from error
        return content


class _Head:
    """Nodes of a scaling, a linear map and a link; weights fill up as nodes are made."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.weights: list[TensorProto] = []

    def nodes(self, blocks: Sequence[str]) -> list[NodeProto]:
        scaled = [*self._join(blocks, "features")]
        if self.head.scaling.kind == "l2":
            unit = []
            for i, block in enumerate(blocks):
                scaled += self._unit(block, self.head.scaling.dims[i], i)
                unit.append(f"head/unit{i}")
            scaled += self._join(unit, "head/inputs")
        elif self.head.scaling.kind == "standardise":
            mean = self._weight("mean", self.head.scaling.mean)
            scale = self._weight("scale", self.head.scaling.scale)
            scaled.append(helper.make_node("Sub", ["features", mean], ["head/centred"]))
            scaled.append(helper.make_node("Mul", ["head/centred", scale], ["head/inputs"]))
        else:
            scaled += self._join(["features"], "head/inputs")
        return [*scaled, *self._probabilities()]

    def _probabilities(self) -> Iterator[NodeProto]:
        link = self.head.link
        assert link is not None  # as RunModel.head makes sure
        coef = self._weight("coef", (self.head.coef * link.slope).T)
        intercept = self._weight("intercept", self.head.intercept * link.slope)
        yield helper.make_node("MatMul", ["head/inputs", coef], ["head/products"])
        yield helper.make_node("Add", ["head/products", intercept], ["head/logits"])
        if link.kind == "sigmoid":
            yield helper.make_node("Sigmoid", ["head/logits"], ["probabilities"])
        elif len(self.head.coef) == 1:
            yield helper.make_node("Neg", ["head/logits"], ["head/other"])
            both = ["head/other", "head/logits"]
            yield helper.make_node("Concat", both, ["head/both"], axis=1)
            yield helper.make_node("Sigmoid", ["head/both"], ["probabilities"])
        else:
            yield helper.make_node("Softmax", ["head/logits"], ["probabilities"], axis=1)

    def _unit(self, block: str, dim: int, i: int) -> Iterator[NodeProto]:
        """Divide rows by their norm; a row of zeros stays.  Sums are products with ones.

        (The axes of a sum are an attribute in some versions of ONNX and an input in others.)
        """
        ones = self._weight(f"ones{i}", np.ones((dim, 1)))
        least = self._weight(f"least{i}", _TINY)
        yield helper.make_node("Mul", [block, block], [f"head/squares{i}"])
        yield helper.make_node("MatMul", [f"head/squares{i}", ones], [f"head/sums{i}"])
        yield helper.make_node("Sqrt", [f"head/sums{i}"], [f"head/norms{i}"])
        yield helper.make_node("Max", [f"head/norms{i}", least], [f"head/divisors{i}"])
        yield helper.make_node("Div", [block, f"head/divisors{i}"], [f"head/unit{i}"])

    def _join(self, parts: Sequence[str], result: str) -> Iterator[NodeProto]:
        if len(parts) == 1:
            yield helper.make_node("Identity", list(parts), [result])
        else:
            yield helper.make_node("Concat", list(parts), [result], axis=1)

    def _weight(self, name: str, values: NDArray[np.floating] | np.floating) -> str:
        array = np.ascontiguousarray(values, np.float32)
        if np.ndim(values) == 0:
            array = array.reshape(())
        self.weights.append(numpy_helper.from_array(array, f"head/{name}"))
        return f"head/{name}"


def _of_one_version(models: Sequence[ModelProto]) -> list[ModelProto]:
    """Bring all graphs to the newest of their versions of ONNX's operators."""

    def version(model: ModelProto) -> int:
        return next(int(e.version) for e in model.opset_import if e.domain in ("", "ai.onnx"))

    newest = max(map(version, models))
    try:
        return [
            model
            if version(model) == newest
            else onnx.version_converter.convert_version(model, newest)
            for model in models
        ]
    except Exception as error:  # of a C++ library, without a type of its own
        versions = ", ".join(str(number) for number in sorted(set(map(version, models))))
        raise InvalidInputError(
            f"the backbones' graphs use ONNX operators of versions {versions}, and cannot be "
            f"brought to one: {error}"
        ) from error
