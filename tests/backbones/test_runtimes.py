"""Backends of real networks: the same features, whatever the batch; one for all resumes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from featstore.backbones import load_encoder
from featstore.backbones.compiled import compiled
from featstore.backbones.exported import export
from featstore.backbones.torch_encoder import TorchEncoder
from featstore.backend_trial import MOST_COSINE_DISTANCE, MOST_DIFFERENCE, deviation
from featstore.encoder import MultiBackend
from featstore.errors import MissingDependencyError

SOURCES = [
    "random/resnet18?size=64#layer2,layer3",
    "random/vit_tiny_patch16_224?size=64&blocks=2&pool=cls+mean",
    "random/vit_tiny_patch16_224?size=64&pool=tokens",
    "random/convnext_atto?size=64",
]


@pytest.mark.parametrize("source", SOURCES)
def test_torch_networks_on_other_runtimes(source: str, pixels: NDArray[np.uint8]) -> None:
    encoder = load_encoder(source, device="cpu")
    assert isinstance(encoder, MultiBackend)
    assert sorted(encoder.backends) == ["onnxruntime", "openvino"]
    own = encoder.encode(pixels)
    for name, start in encoder.backends.items():
        other = start()
        features = other.encode(pixels)
        distance, difference = deviation(features, own)
        assert distance <= MOST_COSINE_DISTANCE
        assert difference <= MOST_DIFFERENCE
        assert (other.spec, other.transform) == (encoder.spec, encoder.transform)
        assert (other.numerics, other.engine.split()[0]) == ("fp32", name)
        np.testing.assert_array_equal(features[3:4], other.encode(pixels[3:4]))


def test_weights_beside_the_graph(
    pixels: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are where they exceed the 2 GB of a protobuf message."""

    def export_beside(encoder: TorchEncoder, images: int, folder: Path) -> onnx.ModelProto:
        model = export(encoder, images, folder)
        onnx.save(
            model, str(folder / "big.onnx"), save_as_external_data=True, size_threshold=0,
            location="big.weights",
        )  # fmt: skip
        graph = onnx.load(str(folder / "big.onnx"), load_external_data=False)
        assert graph.ByteSize() < (folder / "big.weights").stat().st_size / 2
        return graph

    encoder = load_encoder(SOURCES[1], device="cpu", threads=1)
    assert isinstance(encoder, MultiBackend)
    inside = {name: start().encode(pixels) for name, start in encoder.backends.items()}
    monkeypatch.setattr("featstore.backbones.exported.export", export_beside)
    for name, start in encoder.backends.items():
        np.testing.assert_array_equal(start().encode(pixels), inside[name])


def test_threads_share_a_runtime(pixels: NDArray[np.uint8]) -> None:
    for backend in ("onnxruntime", "openvino"):
        features = []
        for threads in (1, 3):
            encoder = load_encoder(SOURCES[0], device="cpu", threads=threads, micro_batch=2)
            assert isinstance(encoder, MultiBackend)
            features.append(encoder.backends[backend]().encode(pixels))
        np.testing.assert_array_equal(*features)


@pytest.mark.slow  # compiles a ViT; a smaller network of torch's does so above
def test_graphs_on_openvino(dinov2: Path) -> None:
    pytest.importorskip("openvino")
    source = f"onnx:{dinov2}?pool=cls#/backbone/layernorm/Add_1_output_0"
    encoder = load_encoder(source, device="cpu")
    assert isinstance(encoder, MultiBackend)
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    other = encoder.backends["openvino"]()
    distance, difference = deviation(other.encode(images), encoder.encode(images))
    assert distance <= MOST_COSINE_DISTANCE
    assert difference <= MOST_DIFFERENCE
    assert isinstance(other, MultiBackend)
    assert not other.backends


def test_only_float32_on_a_cpu_has_backends() -> None:
    encoder = load_encoder(SOURCES[0], device="cpu", numerics="bf16")
    assert isinstance(encoder, MultiBackend)
    assert not encoder.backends


def test_missing_runtimes_say_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder(SOURCES[0], device="cpu")
    assert isinstance(encoder, MultiBackend)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "featstore\[fast\]"'):
        encoder.backends["openvino"]()


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES[:2])
def test_compiled_networks(source: str, pixels: NDArray[np.uint8]) -> None:
    """On the CPU, where there is no use for it, by the code that CUDA devices run."""
    encoder = load_encoder(source, device="cpu", threads=1)
    assert isinstance(encoder, TorchEncoder)
    other = compiled(encoder)
    distance, difference = deviation(other.encode(pixels), encoder.encode(pixels))
    assert distance <= MOST_COSINE_DISTANCE
    assert difference <= MOST_DIFFERENCE
    assert (other.spec, other.backend) == (encoder.spec, "inductor")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("source", SOURCES)
def test_compiled_on_cuda(source: str, pixels: NDArray[np.uint8]) -> None:
    encoder = load_encoder(source, device="cuda")
    assert isinstance(encoder, MultiBackend)
    assert list(encoder.backends) == ["inductor"]
    features = encoder.backends["inductor"]().encode(pixels)
    distance, difference = deviation(features, encoder.encode(pixels))
    assert distance <= MOST_COSINE_DISTANCE
    assert difference <= MOST_DIFFERENCE
