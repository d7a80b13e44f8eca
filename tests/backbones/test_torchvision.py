"""torchvision's networks: its own loading path, its own transforms, its own numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision import models

from featstore.backbones import load_encoder
from featstore.backbones.architectures import untrained
from featstore.backbones.torchvision import _transform
from featstore.errors import InvalidInputError, WeightsError
from featstore.images import apply


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and no network behind it."""

    def refuse(url: str, *_: Any, **__: Any) -> None:
        raise OSError(f"no network for {url}")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def seeded(build: Any) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(11)
        module: torch.nn.Module = build().eval()
    return module


@pytest.mark.parametrize("weights", ["", "@IMAGENET1K_V1", "@DEFAULT"])
def test_weights_come_from_torchvisions_cache(
    weights: str, hub: Path, pixels: NDArray[np.uint8], normalise: Any
) -> None:
    network = seeded(models.resnet18)
    torch.save(network.state_dict(), hub / "resnet18-f37072fd.pth")
    source = f"torchvision/resnet18{weights}?size=64"
    encoder, logits = (load_encoder(text, device="cpu") for text in (source, f"{source}#fc"))

    images = normalise(pixels, encoder.transform)
    with torch.inference_mode():
        expected = network(images).numpy()
        network.fc = torch.nn.Identity()
        penultimate = network(images).numpy()
    np.testing.assert_allclose(logits.encode(pixels), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(encoder.encode(pixels), penultimate, rtol=1e-4, atol=1e-4)
    assert encoder.spec.architecture == "torchvision/resnet18"
    assert encoder.spec.weights == "IMAGENET1K_V1"
    assert encoder.spec.dim == 512


def test_absent_weights_say_the_way_out(hub: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        load_encoder("torchvision/resnet18@IMAGENET1K_V1")
    message = str(caught.value)
    for part in (
        "IMAGENET1K_V1 of torchvision/resnet18",
        "https://download.pytorch.org/models/resnet18-f37072fd.pth",
        "no network",
        str(hub),
        "checkpoint:FILE?arch=resnet18",
    ):
        assert part in message


def test_unknown_names() -> None:
    with pytest.raises(InvalidInputError, match=r"no model 'resnet-50'. Did you mean resnet50"):
        load_encoder("torchvision/resnet-50")
    with pytest.raises(InvalidInputError, match=r"no weights 'IMAGENET1K_V9'. Did you mean .*_V2"):
        load_encoder("torchvision/resnet50@IMAGENET1K_V9")


# What the families' own code does between the last feature and the first layer of the head.
@pytest.mark.parametrize(
    ("name", "size", "penultimate"),
    [
        ("alexnet", 96, lambda m, x: m.avgpool(m.features(x)).flatten(1)),
        pytest.param(
            "vgg11",
            64,
            lambda m, x: m.avgpool(m.features(x)).flatten(1),
            marks=pytest.mark.slow,  # half a gigabyte of weights
        ),
        ("squeezenet1_1", 64, lambda m, x: m.features(x).mean((2, 3))),
        ("densenet121", 64, lambda m, x: m.features(x).relu().mean((2, 3))),
        ("efficientnet_b0", 64, lambda m, x: m.avgpool(m.features(x)).flatten(1)),
        ("mobilenet_v3_small", 64, lambda m, x: m.avgpool(m.features(x)).flatten(1)),
        ("mnasnet0_5", 64, lambda m, x: m.layers(x).mean((2, 3))),
        ("convnext_tiny", 64, lambda m, x: m.classifier[:2](m.avgpool(m.features(x)))),
        ("swin_t", 64, lambda m, x: m.norm(m.features(x)).mean((1, 2))),
        ("regnet_y_400mf", 64, lambda m, x: m.avgpool(m.trunk_output(m.stem(x))).flatten(1)),
        ("vit_b_32", 64, lambda m, x: encoded(m, x)[:, 0]),
    ],
)
def test_penultimate_of_each_family(name: str, size: int, penultimate: Any, normalise: Any) -> None:
    shape = (3, size, size, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    encoder = load_encoder(f"random/{name}?size={size}", device="cpu")
    module = untrained(name, seed=0, size=size).module
    with torch.inference_mode():
        expected = penultimate(module, normalise(pixels, encoder.transform)).numpy()
    assert encoder.spec.dim == expected.shape[1]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(encoder.encode(pixels) / scale, expected / scale, atol=1e-5)


def encoded(vit: Any, images: torch.Tensor) -> torch.Tensor:
    patches = vit.conv_proj(images).flatten(2).transpose(1, 2)
    tokens = torch.cat([vit.class_token.expand(len(images), -1, -1), patches], 1)
    activation: torch.Tensor = vit.encoder(tokens)
    return activation


def test_patch_tokens_of_vit(normalise: Any) -> None:
    encoder = load_encoder("random/vit_b_32?size=64&pool=tokens", device="cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    module = untrained("vit_b_32", seed=0, size=64).module
    with torch.inference_mode():
        tokens = encoded(module, normalise(pixels, encoder.transform))[:, 1:]
    assert (encoder.spec.n_tokens, encoder.spec.dim) == (4, 4 * 768)
    expected = tokens.reshape(2, -1).numpy()
    np.testing.assert_allclose(encoder.encode(pixels), expected, rtol=1e-4, atol=1e-5)


def test_tokens_of_an_unknown_layer_have_to_be_named() -> None:
    with pytest.raises(
        InvalidInputError, match=r"tokens of torchvision/resnet18 .*pool=tokens#lay"
    ):
        load_encoder("random/resnet18?size=64&pool=tokens", device="cpu")
    encoder = load_encoder("random/resnet18?size=64&pool=tokens#layer4", device="cpu")
    assert (encoder.spec.n_tokens, encoder.spec.dim, encoder.spec.layer) == (4, 2048, "layer4")


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_b1", "swin_v2_t", "vit_l_16"])
def test_transform_is_the_published_preset(name: str, normalise: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 410, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    for weights in models.get_model_weights(name):
        transform = _transform(weights)
        ours = normalise(apply(image, transform)[None], transform)[0]
        torch.testing.assert_close(ours, weights.transforms()(image), rtol=0, atol=0)
