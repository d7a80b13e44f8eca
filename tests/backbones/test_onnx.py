"""ONNX graphs: cut at any tensor, run as the original graph runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featstore.backbones import load_encoder
from featstore.errors import InvalidInputError, WeightsError
from featstore.transform import Transform

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

TOKENS = "/backbone/layernorm/Add_1_output_0"


def small_graph(path: Path, *, batch: int | str = "n", size: int | str = 8, **save: Any) -> Path:
    """Write conv -> relu -> mean, and beside it a scaled copy that the mean does not need."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.standard_normal((6, 3, 3, 3)).astype(np.float32),
        "unused": np.ones((6, 1, 1), np.float32),
    }
    helper = onnx.helper
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "w"], ["map"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["map"], ["activation"]),
            helper.make_node("Mul", ["activation", "unused"], ["scaled"]),
            helper.make_node("GlobalAveragePool", ["activation"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["features"]),
        ],
        "small",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [batch, 3, size, size])],
        [
            helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, [batch, 6]),
            helper.make_tensor_value_info("scaled", onnx.TensorProto.FLOAT, [batch, 6, size, size]),
        ],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save_model(model, str(path), **save)
    return path


def run(path: Path, output: str, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run the whole graph with one tensor added to its outputs."""
    model = onnx.load(str(path))
    if output not in [value.name for value in model.graph.output]:
        model.graph.output.append(onnx.ValueInfoProto(name=output))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    result: NDArray[np.float32] = session.run([output], {session.get_inputs()[0].name: images})[0]
    return result


@pytest.fixture
def tiny_pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("batch", ["n", 1, 3])
@pytest.mark.parametrize(
    ("layer", "pooling", "dim"),
    [("features", "none", 6), ("map", "mean", 6), ("pooled", "mean", 6)],
)
def test_any_tensor_of_a_graph(
    batch: int | str,
    layer: str,
    pooling: str,
    dim: int,
    tmp_path: Path,
    tiny_pixels: NDArray[np.uint8],
    normalise: Any,
) -> None:
    path = small_graph(tmp_path / "small.onnx", batch=batch)
    encoder = load_encoder(f"onnx:{path}#{layer}", device="cpu")
    assert (encoder.spec.layer, encoder.spec.pooling, encoder.spec.dim) == (layer, pooling, dim)
    images = normalise(tiny_pixels, encoder.transform).numpy()
    free = small_graph(tmp_path / "free.onnx")
    expected = run(free, layer, images)
    expected = expected.mean((2, 3)) if expected.ndim == 4 else expected
    np.testing.assert_allclose(encoder.encode(tiny_pixels), expected, rtol=1e-5, atol=1e-6)


def test_external_data_is_found_and_digested(
    tmp_path: Path, tiny_pixels: NDArray[np.uint8]
) -> None:
    inside = small_graph(tmp_path / "inside.onnx")
    outside = small_graph(
        tmp_path / "outside.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    assert (tmp_path / "w.bin").stat().st_size > 0
    a, b = (load_encoder(f"onnx:{path}#features", device="cpu") for path in (inside, outside))
    np.testing.assert_array_equal(a.encode(tiny_pixels), b.encode(tiny_pixels))
    assert a.spec.weights_digest == b.spec.weights_digest


def test_digest_is_of_what_is_used(tmp_path: Path) -> None:
    path = small_graph(tmp_path / "small.onnx")
    model = onnx.load(str(path))

    def digest() -> str:
        onnx.save(model, str(path))
        return load_encoder(f"onnx:{path}#features", device="cpu").spec.weights_digest

    original = digest()
    used, unused = model.graph.initializer
    unused.CopyFrom(onnx.numpy_helper.from_array(np.zeros((6, 1, 1), np.float32), "unused"))
    assert digest() == original
    used.CopyFrom(onnx.numpy_helper.from_array(np.zeros((6, 3, 3, 3), np.float32), "w"))
    assert digest() != original


def test_transform_follows_the_input_and_the_options(tmp_path: Path) -> None:
    fixed = small_graph(tmp_path / "fixed.onnx", size=112)
    free = small_graph(tmp_path / "free.onnx", size="edge")
    assert load_encoder(f"onnx:{fixed}#map", device="cpu").transform == Transform(
        size=112, resize=128, interpolation="bicubic"
    )
    assert load_encoder(f"onnx:{free}#map", device="cpu").transform == Transform(
        size=224, resize=256, interpolation="bicubic"
    )
    options = "?size=96&resize=100&interp=bilinear&mean=0.5,0.5,0.5&std=0.2"
    assert load_encoder(f"onnx:{free}{options}#map", device="cpu").transform == Transform(
        size=96, resize=100, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)
    )


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    path = small_graph(tmp_path / "small.onnx")
    fixed = small_graph(tmp_path / "fixed.onnx", batch=3)
    text = tmp_path / "text.onnx"
    text.write_text("this is no graph")
    for source, settings, error, message in (
        (f"onnx:{path}", {}, InvalidInputError, "2 outputs; choose one: #features, #scaled"),
        (f"onnx:{path}#featurs", {}, InvalidInputError, "Did you mean features.*List all by"),
        (f"onnx:{path}?size=16#map", {}, InvalidInputError, "takes 8 x 8 pixels, not 16 x 16"),
        (f"onnx:{path}?seed=1#map", {}, InvalidInputError, "unknown option 'seed'"),
        (f"onnx:{path}?pool=cls#map", {}, InvalidInputError, "pool=cls does not fit"),
        (f"onnx:{path}#map", {"numerics": "bf16"}, InvalidInputError, "holds its precision"),
        (f"onnx:{path}#map", {"device": "tpu"}, InvalidInputError, "device 'tpu'"),
        (f"onnx:{fixed}#map", {"micro_batch": 8}, InvalidInputError, "exported for batches of 3"),
        (f"onnx:{text}", {}, InvalidInputError, "text.onnx is no ONNX model"),
        (f"onnx:{tmp_path}/gone.onnx", {}, WeightsError, "there is no file"),
    ):
        with pytest.raises(error, match=message):
            load_encoder(source, **{"device": "cpu", **settings})


def test_dinov2_inside_a_larger_graph(dinov2: Path, clothing: Path, normalise: Any) -> None:
    from featstore.images import load_pixels

    encoder = load_encoder(f"onnx:{dinov2}?pool=cls#{TOKENS}", device="cpu")
    assert (encoder.spec.dim, encoder.spec.pooling) == (384, "cls")
    photos = sorted(clothing.rglob("*.jpg"))[:5]
    pixels = np.stack([load_pixels(path, encoder.transform) for path in photos])
    features = encoder.encode(pixels)

    tokens = run(dinov2, TOKENS, normalise(pixels, encoder.transform).numpy())
    assert tokens.shape == (5, 257, 384)
    np.testing.assert_allclose(features, tokens[:, 0], rtol=1e-3, atol=1e-4)
    cosine = (features * tokens[:, 0]).sum(1) / np.linalg.norm(features, axis=1)
    assert (cosine / np.linalg.norm(tokens[:, 0], axis=1) > 0.99999).all()

    patches = load_encoder(f"onnx:{dinov2}?pool=tokens#{TOKENS}", device="cpu")
    assert (patches.spec.n_tokens, patches.spec.dim) == (256, 256 * 384)
    found = patches.encode(pixels[:2]).reshape(2, 256, 384)
    np.testing.assert_allclose(found, tokens[:2, 1:], rtol=1e-3, atol=1e-3)

    order = [3, 0, 4, 1, 2]
    np.testing.assert_array_equal(encoder.encode(pixels[order]), features[order])
    np.testing.assert_array_equal(encoder.encode(pixels[:1]), features[:1])
