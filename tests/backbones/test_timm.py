"""timm's networks: its own loading path, transforms and pre-logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from featstore.backbones import load_encoder
from featstore.backbones.architectures import untrained
from featstore.errors import InvalidInputError, WeightsError
from featstore.images import apply

timm = pytest.importorskip("timm")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and no network behind it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def cache(hub: Path, name: str, module: torch.nn.Module) -> None:
    """Lay out a model as the hub's client caches it."""
    from safetensors.torch import save_file

    repository = hub / f"models--timm--{name}"
    snapshot = repository / "snapshots" / "0" / "model.safetensors"
    snapshot.parent.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0")
    save_file(module.state_dict(), snapshot)


def test_weights_come_from_timms_cache(
    hub: Path, pixels: NDArray[np.uint8], normalise: Any
) -> None:
    network = untrained("timm/resnet18", seed=11).module
    cache(hub, "resnet18.a2_in1k", network)
    encoder = load_encoder("timm/resnet18.a2_in1k?size=64", device="cpu")
    assert encoder.spec.weights == "a2_in1k"
    assert encoder.spec.architecture == "timm/resnet18"
    same = load_encoder("timm/resnet18@a2_in1k?size=64", device="cpu")
    assert same.spec.weights_digest == encoder.spec.weights_digest

    network.reset_classifier(0)
    with torch.inference_mode():
        expected = network(normalise(pixels, encoder.transform)).numpy()
    np.testing.assert_allclose(encoder.encode(pixels), expected, rtol=1e-4, atol=1e-5)


def test_absent_weights_say_the_way_out(hub: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        load_encoder("timm/resnet18")
    for part in ("'a1_in1k' of timm/resnet18", "hf download", "checkpoint:FILE?arch=timm/resnet18"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("timm/vit_small_patch14_dinov3x", "no model .*Did you mean"),
        ("timm/resnet18.a9_in1k", "no weights 'a9_in1k'. Did you mean"),
        ("timm/resnet18.a1_in1k@a2_in1k", "names its weights twice"),
        ("timm/resnet18?sise=64", "unknown option 'sise'. Did you mean size"),
    ],
)
def test_errors_say_what_is_wrong(source: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_encoder(source)


def test_a_crop_that_we_do_not_make_is_refused() -> None:
    from featstore.backbones.timm import untrained

    # One of its blocks: all of them take seconds.
    with (
        torch.random.fork_rng(devices=[]),
        pytest.raises(InvalidInputError, match="crop mode 'border'"),
    ):
        untrained("deepseek_vit_412m_enc", variant={"depth": 1})


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("tf_efficientnet_lite0", 64),
        ("mobilenetv3_small_050", 64),
        ("convnext_atto", 64),
        ("swin_tiny_patch4_window7_224", 224),
        ("vit_tiny_patch16_224", 64),
        ("vit_small_patch14_reg4_dinov2", 56),
        ("deit_tiny_distilled_patch16_224", 64),
    ],
)
def test_default_layer_is_timms_headless_network(name: str, size: int, normalise: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    encoder = load_encoder(f"random/timm/{name}?size={size}", device="cpu")
    network: Any = untrained(f"timm/{name}", seed=0, size=size).module
    network.reset_classifier(0)
    with torch.inference_mode():
        expected = network(normalise(pixels, encoder.transform)).numpy()
    assert encoder.spec.dim == expected.shape[1]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(encoder.encode(pixels) / scale, expected / scale, atol=1e-5)


def test_mean_of_patches_leaves_register_tokens_out(normalise: Any) -> None:
    source = "random/vit_small_patch14_reg4_dinov2?size=56&pool=cls+mean#norm"
    encoder = load_encoder(source, device="cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 56, 56, 3), dtype=np.uint8)
    network: Any = untrained("vit_small_patch14_reg4_dinov2", seed=0, size=56).module
    with torch.inference_mode():
        tokens = network.forward_features(normalise(pixels, encoder.transform))
    assert tokens.shape == (2, 1 + 4 + 16, 384)
    expected = torch.cat([tokens[:, 0], tokens[:, 5:].mean(1)], 1)
    np.testing.assert_allclose(encoder.encode(pixels), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "size", "prefix", "n_tokens"),
    [("vit_small_patch14_reg4_dinov2", 56, 5, 16), ("vit_tiny_patch16_224", 64, 1, 16)],
)
def test_patch_tokens(name: str, size: int, prefix: int, n_tokens: int, normalise: Any) -> None:
    encoder = load_encoder(f"random/{name}?size={size}&pool=tokens", device="cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    network: Any = untrained(f"timm/{name}", seed=0, size=size).module
    with torch.inference_mode():
        tokens = network.forward_features(normalise(pixels, encoder.transform))[:, prefix:]
    assert (encoder.spec.n_tokens, encoder.spec.layer) == (n_tokens, "tokens")
    assert tokens.shape[1] == n_tokens
    expected = tokens.reshape(3, -1).numpy()
    np.testing.assert_allclose(encoder.encode(pixels), expected, rtol=1e-4, atol=1e-5)


def test_positions_of_a_map_are_tokens(normalise: Any) -> None:
    encoder = load_encoder("random/timm/resnet18?size=64&pool=tokens", device="cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    network: Any = untrained("timm/resnet18", seed=0, size=64).module
    with torch.inference_mode():
        activation = network.forward_features(normalise(pixels, encoder.transform))
    assert encoder.spec.n_tokens == 4
    expected = activation.permute(0, 2, 3, 1).reshape(2, -1).numpy()
    np.testing.assert_allclose(encoder.encode(pixels), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "tf_efficientnet_lite0",
        "vit_tiny_patch16_224",
        "vit_base_patch16_siglip_224",  # squashed whole
        "mobilenetv3_small_050",
    ],
)
def test_transform_is_timms_own(name: str) -> None:
    with torch.device("meta"):
        module = timm.create_model(name)
    config = timm.data.resolve_model_data_config(module)
    theirs = timm.data.create_transform(**config, is_training=False, normalize=False)
    transform = untrained(f"timm/{name}", seed=0).transform
    assert (transform.mean, transform.std) == (tuple(config["mean"]), tuple(config["std"]))
    for width, height in ((300, 410), (231, 180)):
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        image = Image.fromarray(noise)
        expected = np.asarray(theirs(image)).transpose(1, 2, 0)
        np.testing.assert_array_equal(apply(image, transform), expected)
