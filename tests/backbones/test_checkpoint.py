"""Local weights: every layout that is right loads, everything else is refused with its reason."""

from __future__ import annotations

import argparse
import fractions
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from featstore.backbones import load_encoder
from featstore.backbones.architectures import untrained
from featstore.errors import InvalidInputError, WeightsError
from featstore.images import load_pixels
from featstore.spec import BackboneSpec

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    return untrained("resnet18", seed=5).module.state_dict()


@pytest.fixture(scope="module")
def expected(state: State, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return load_encoder("random/resnet18?size=64&seed=5", device="cpu").encode(pixels)


@pytest.fixture(scope="module")
def described() -> BackboneSpec:
    return load_encoder("random/resnet18?size=64&seed=5", device="cpu").spec


def prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def without(state: State, *starts: str) -> State:
    return {name: tensor for name, tensor in state.items() if not name.startswith(starts)}


def zeros(state: State) -> State:
    return {name: torch.zeros_like(tensor) for name, tensor in state.items()}


def head_of_five(state: State) -> State:
    return {**state, "fc.weight": torch.zeros(5, 512), "fc.bias": torch.zeros(5)}


LAYOUTS: dict[str, tuple[Callable[[State], Any], str]] = {
    "plain": (lambda s: s, ""),
    "data-parallel": (lambda s: prefixed(s, "module."), ""),
    "compiled": (lambda s: prefixed(s, "_orig_mod.module."), ""),
    "nested": (lambda s: {"epoch": 3, "state_dict": prefixed(s, "module.")}, ""),
    "nested-twice": (lambda s: {"model": {"state_dict": s}, "optimizer": {"state": {0: {}}}}, ""),
    "other-head": (head_of_five, ""),
    "no-head": (lambda s: without(s, "fc."), ""),
    "renamed-head": (lambda s: {**without(s, "fc."), "head.weight": torch.zeros(2, 512)}, ""),
    "old-torch": (
        lambda s: {k: v for k, v in s.items() if not k.endswith("num_batches_tracked")},
        "",
    ),
    "moco": (
        lambda s: {
            "state_dict": {
                **prefixed(without(s, "fc."), "module.encoder_q."),
                **prefixed(zeros(without(s, "fc.")), "module.encoder_k."),
                "module.queue": torch.zeros(8, 8),
            }
        },
        "",
    ),
    "asked-prefix": (
        lambda s: {**prefixed(zeros(s), "a."), **prefixed(s, "b.")},
        "&prefix=b.",
    ),
    "equal-twins": (lambda s: {**prefixed(s, "net."), **prefixed(s, "encoder.net.")}, ""),
    "arguments": (
        lambda s: {"state_dict": s, "args": argparse.Namespace(lr=0.1), "best": np.float64(71.1)},
        "",
    ),
    "two-groups": (lambda s: {"state_dict": {}, "model": head_of_five(s), "ema": s}, "&key=ema"),
    "projector": (lambda s: {**s, "projector.0.weight": torch.zeros(2)}, ""),
    "extra": (lambda s: {**s, "regions.0.weight": torch.zeros(2)}, "&ignore=regions"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_that_hold_the_backbone(
    layout: str,
    state: State,
    expected: NDArray[np.float32],
    described: BackboneSpec,
    pixels: NDArray[np.uint8],
    tmp_path: Path,
) -> None:
    make, options = LAYOUTS[layout]
    path = tmp_path / "weights.pth"
    torch.save(make(state), path)
    encoder = load_encoder(f"checkpoint:{path}?arch=resnet18&size=64{options}", device="cpu")
    np.testing.assert_array_equal(encoder.encode(pixels), expected)
    assert encoder.spec.weights_digest == described.weights_digest
    assert encoder.spec.weights == "weights.pth"
    assert encoder.spec.architecture == described.architecture == "torchvision/resnet18"


def test_safetensors(
    state: State, expected: NDArray[np.float32], pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "weights.safetensors"
    save_file(state, path)
    encoder = load_encoder(f"checkpoint:{path}?arch=torchvision/resnet18&size=64", device="cpu")
    np.testing.assert_array_equal(encoder.encode(pixels), expected)


MISMATCHES: dict[str, tuple[Callable[[State], Any], str, str]] = {
    "missing": (
        lambda s: without(s, "layer3.1.conv2.weight"),
        "",
        r"torchvision/resnet18: 1 missing \(layer3.1.conv2.weight\)\. Choose",
    ),
    "missing-below-prefix": (
        lambda s: prefixed(without(s, "conv1"), "module."),
        "",
        r"below the prefix 'module.': 1 missing \(conv1.weight\)",
    ),
    "wrong-shape": (
        lambda s: {**s, "conv1.weight": torch.zeros(64, 1, 7, 7)},
        "",
        r"1 of wrong shape \(conv1.weight \(64, 1, 7, 7\) instead of \(64, 3, 7, 7\)\)",
    ),
    "unexpected": (
        lambda s: {**s, "layer1.0.gate.weight": torch.zeros(1)},
        "",
        r"1 unexpected \(layer1.0.gate.weight\)",
    ),
    "another-network": (
        lambda s: {"stem.weight": s["conv1.weight"]},
        "",
        r"100 missing \(bn1.bias, .*, \.\.\.\); 1 unexpected \(stem.weight\)",
    ),
    "head-asked-for": (lambda s: without(s, "fc."), "#fc", r"2 missing \(fc.bias, fc.weight\)"),
    "two-networks": (
        lambda s: {**prefixed(s, "a."), **prefixed(zeros(s), "b.")},
        "",
        r"several networks that fit; choose one by \?prefix=: 'a.', 'b.'",
    ),
    "two-groups": (
        lambda s: {"state_dict": s, "state_dict_ema": zeros(s)},
        "",
        r"choose one by \?key=: state_dict, state_dict_ema",
    ),
    "no-tensors": (lambda s: {"epoch": 3}, "", "holds no named tensors"),
    "no-such-key": (
        lambda s: {"model": s},
        "&key=modle",
        "no entry 'modle' with tensors. Did you mean model",
    ),
    "unpicklable": (
        lambda s: {"state_dict": s, "args": fractions.Fraction(1, 2)},
        "",
        r"refused: loading it would run code .*fractions.Fraction",
    ),
}


@pytest.mark.parametrize("case", MISMATCHES)
def test_mismatches_are_refused(case: str, state: State, tmp_path: Path) -> None:
    make, options, message = MISMATCHES[case]
    path = tmp_path / "weights.pth"
    torch.save(make(state), path)
    with pytest.raises(WeightsError, match=message) as caught:
        load_encoder(f"checkpoint:{path}?arch=resnet18&size=64{options}", device="cpu")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"this is no checkpoint", b"PK\x03\x04 cut off"])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_damaged_files_are_refused(data: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights.{suffix}"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=f"weights.{suffix}"):
        load_encoder(f"checkpoint:{path}?arch=resnet18")


def test_what_must_be_said(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    with pytest.raises(InvalidInputError, match=r"no architecture 'resnet17'\. Did you mean"):
        load_encoder(f"checkpoint:{path}?arch=resnet17")
    with pytest.raises(WeightsError, match=r"there is no file '.*gone.pth'"):
        load_encoder(f"checkpoint:{tmp_path / 'gone.pth'}?arch=resnet18")


def test_efficientnet_lite0_recognises_real_photos(lite0: Path, photos: dict[str, Path]) -> None:
    timm_data = pytest.importorskip("timm.data")
    encoder = load_encoder(f"checkpoint:{lite0}#classifier", device="cpu")
    assert encoder.spec.architecture == "timm/tf_efficientnet_lite0"
    pixels = np.stack([load_pixels(path, encoder.transform) for path in photos.values()])
    classes = timm_data.ImageNetInfo()
    predicted = [
        classes.index_to_description(int(code)).split(",")[0]
        for code in encoder.encode(pixels).argmax(1)
    ]
    assert len(photos) >= 2
    assert predicted == list(photos)


def test_efficientnet_lite0_is_timms_forward(lite0: Path, normalise: Any) -> None:
    """The tensors in file order fit timm's keys in theirs: an oracle without our renaming."""
    timm = pytest.importorskip("timm")
    with torch.random.fork_rng():
        network = timm.create_model("tf_efficientnet_lite0").eval()
    tensors = torch.load(lite0, weights_only=True).values()
    network.load_state_dict(dict(zip(network.state_dict(), tensors, strict=True)))
    assert {m.eps for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {1e-3}
    encoder = load_encoder(f"checkpoint:{lite0}", device="cpu")
    assert encoder.transform.mean == (127 / 255,) * 3
    assert encoder.transform.std == (128 / 255,) * 3
    pixels = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    network.reset_classifier(0)
    with torch.inference_mode():
        expected = network(normalise(pixels, encoder.transform)).numpy()
    np.testing.assert_allclose(encoder.encode(pixels), expected, rtol=1e-3, atol=1e-4)


def test_efficientnet_lite0_refuses_the_lookalike(lite0: Path, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    with pytest.raises(WeightsError, match="only timm/tf_efficientnet_lite0 computes"):
        load_encoder(f"checkpoint:{lite0}?arch=timm/efficientnet_lite0")
    tensors = torch.load(lite0, weights_only=True)
    torch.save({"state_dict": prefixed(tensors, "module.")}, tmp_path / "nested.pth")
    nested = load_encoder(f"checkpoint:{tmp_path / 'nested.pth'}?size=64", device="cpu").spec
    assert nested.weights_digest == load_encoder(f"checkpoint:{lite0}?size=64").spec.weights_digest
