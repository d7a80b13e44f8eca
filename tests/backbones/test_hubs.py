"""torch.hub, open_clip and transformers: their real loading code on weights made here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from featstore.backbones import feature_name, load_encoder
from featstore.errors import InvalidInputError, WeightsError

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)

HUBCONF = """
import torch, torchvision
dependencies = ["torch"]

def small(pretrained=True):
    model = torchvision.models.resnet18()
    if pretrained:
        model.load_state_dict(torch.load(__file__.replace("hubconf.py", "small.pth")))
    return model

def none():
    return 3
"""


def seeded(build: Callable[[], Any]) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(7)
        return build().eval()


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, Any]:
    from torchvision.models import resnet18

    folder = tmp_path / "someones"
    folder.mkdir()
    (folder / "hubconf.py").write_text(HUBCONF)
    network = seeded(resnet18)
    torch.save(network.state_dict(), folder / "small.pth")
    return folder, network


def test_torch_hub_from_a_folder(repository: tuple[Path, Any], normalise: Any) -> None:
    folder, network = repository
    encoder = load_encoder(f"torch.hub:{folder}/small?size=64", device="cpu")
    network.fc = torch.nn.Identity()
    with torch.inference_mode():
        expected = network(normalise(PIXELS, encoder.transform)).numpy()
    np.testing.assert_allclose(encoder.encode(PIXELS), expected, rtol=1e-4, atol=1e-5)
    assert encoder.spec.architecture == "torch.hub/someones/small"
    assert feature_name(f"torch.hub:{folder}/small") == "small"
    other = load_encoder(f"torch.hub:{folder}/small?size=64&pretrained=false", device="cpu")
    assert other.spec.weights_digest != encoder.spec.weights_digest


def test_torch_hub_errors(
    repository: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = repository
    with pytest.raises(InvalidInputError, match=r"no entry point 'smal'"):
        load_encoder(f"torch.hub:{folder}/smal")
    with pytest.raises(InvalidInputError, match=r"gives a int, not a torch module"):
        load_encoder(f"torch.hub:{folder}/none")
    with pytest.raises(InvalidInputError, match=r"must have the form"):
        load_encoder("torch.hub:small")
    (folder / "small.pth").unlink()
    with pytest.raises(WeightsError, match=r"belong in .*checkpoints"):
        load_encoder(f"torch.hub:{folder}/small")

    def unreachable(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "load", unreachable)
    with pytest.raises(WeightsError, match=r"\?trust=yes.* clone https://github.com/a/b and give"):
        load_encoder("torch.hub:a/b:main/small")


SMALL_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
}


def test_open_clip_before_and_behind_the_projection(tmp_path: Path, normalise: Any) -> None:

    open_clip = pytest.importorskip("open_clip")
    (tmp_path / "small-clip.json").write_text(json.dumps(SMALL_CLIP))
    open_clip.add_model_config(tmp_path)
    model = seeded(lambda: open_clip.create_model("small-clip"))
    path = tmp_path / "weights.pt"
    torch.save(model.state_dict(), path)
    before = load_encoder(f"open_clip/small-clip@{path}", device="cpu")
    behind = load_encoder(f"open_clip/small-clip@{path}#embedding", device="cpu")
    images = normalise(PIXELS, before.transform)
    with torch.inference_mode():
        embedding = model.encode_image(images).numpy()
    np.testing.assert_allclose(behind.encode(PIXELS), embedding, rtol=1e-3, atol=1e-4)
    projected = before.encode(PIXELS) @ model.visual.proj.detach().numpy()
    np.testing.assert_allclose(projected, embedding, rtol=1e-3, atol=1e-4)
    assert (before.spec.dim, behind.spec.dim) == (64, 16)
    assert before.transform.mean == pytest.approx((0.4815, 0.4578, 0.4082), abs=1e-4)
    two = load_encoder(f"open_clip/small-clip@{path}?blocks=2", device="cpu")
    np.testing.assert_allclose(two.encode(PIXELS)[:, 64:], before.encode(PIXELS), atol=1e-4)


def test_open_clip_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    open_clip = pytest.importorskip("open_clip")
    with pytest.raises(InvalidInputError, match=r"no model 'ViT-B-33'. Did you mean"):
        load_encoder("open_clip/ViT-B-33@openai")
    with pytest.raises(InvalidInputError, match=r"no weights 'opena1'.*Did you mean openai"):
        load_encoder("open_clip/ViT-B-32@opena1")

    def unreachable(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(open_clip, "create_model", unreachable)
    address = r"huggingface.co/laion/CLIP-[^/]*/resolve/main/open_clip_model.safetensors"
    message = rf"no network\. Fetch https://{address} by hand .*open_clip/ViT-B-32@FILE"
    with pytest.raises(WeightsError, match=message):
        load_encoder("open_clip/ViT-B-32@laion2b_s34b_b79k")


def small_config(name: str) -> tuple[Any, Any]:
    import transformers

    options = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 3}
    options |= {"intermediate_size": 96, "image_size": 64, "patch_size": 16}
    if name == "ConvNext":
        options = {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 1, 1]}
    config = getattr(transformers, f"{name}Config")(**options)
    return config, getattr(transformers, f"{name}Model")


@pytest.mark.parametrize("name", ["ViT", "Dinov2", "CLIPVision", "SiglipVision", "ConvNext"])
def test_transformers_from_a_folder(name: str, tmp_path: Path, normalise: Any) -> None:
    transformers = pytest.importorskip("transformers")
    config, model_class = small_config(name)
    model = seeded(lambda: model_class(config))
    model.save_pretrained(tmp_path)
    transformers.ViTImageProcessor(
        size={"height": 64, "width": 64}, image_mean=[0.1, 0.2, 0.3], image_std=[0.5, 0.6, 0.7]
    ).save_pretrained(tmp_path)
    encoder = load_encoder(f"hf:{tmp_path}", device="cpu")
    transform = encoder.transform
    assert (transform.geometry, transform.size) == ("squash", 64)
    assert (transform.mean, transform.std) == ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    with torch.inference_mode():
        output = model(pixel_values=normalise(PIXELS, transform))
    takes_class = name in ("ViT", "Dinov2")
    expected = output.last_hidden_state[:, 0] if takes_class else output.pooler_output
    np.testing.assert_allclose(encoder.encode(PIXELS), expected, rtol=1e-3, atol=1e-4)
    if takes_class:
        two = load_encoder(f"hf:{tmp_path}?blocks=2", device="cpu")
        np.testing.assert_allclose(two.encode(PIXELS)[:, 48:], expected, rtol=1e-3, atol=1e-4)
        mean = load_encoder(f"hf:{tmp_path}?pool=tokens", device="cpu")
        assert (mean.spec.n_tokens, mean.spec.dim) == (16, 16 * 48)


def test_transformers_errors(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    with pytest.raises(WeightsError, match=r"hf download .*--local-dir FOLDER.*hf:FOLDER"):
        load_encoder(f"hf:{tmp_path / 'gone'}")
    config = transformers.BertConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        vocab_size=8,
    )
    seeded(lambda: transformers.BertModel(config)).save_pretrained(tmp_path)
    with pytest.raises(InvalidInputError, match=r"takes input_ids and not images"):
        load_encoder(f"hf:{tmp_path}")


def test_last_blocks_are_timms_intermediate_layers(normalise: Any) -> None:
    pytest.importorskip("timm")
    from featstore.backbones.architectures import untrained

    source = "random/vit_tiny_patch16_224?size=64&blocks=4"
    encoder = load_encoder(source, device="cpu")
    module: Any = untrained("vit_tiny_patch16_224", seed=0, size=64).module
    with torch.inference_mode():
        layers = module.get_intermediate_layers(
            normalise(PIXELS, encoder.transform), 4, norm=True, return_prefix_tokens=True
        )
    expected = torch.cat([prefix[:, 0] for _, prefix in layers], 1)
    np.testing.assert_allclose(encoder.encode(PIXELS), expected, rtol=1e-3, atol=1e-4)
    assert encoder.spec.layer == "last 4 blocks, normalised"
    means = load_encoder(f"{source}&pool=cls+mean", device="cpu").encode(PIXELS)
    both = torch.cat([t for p, c in layers for t in (c[:, 0], p.mean(1))], 1)
    np.testing.assert_allclose(means, both, rtol=1e-3, atol=1e-4)


def test_several_layers_in_one_pass() -> None:
    def features(layer: str) -> Any:
        return load_encoder(f"random/resnet18?size=64#{layer}", device="cpu", threads=2).encode(
            PIXELS
        )

    both = features("layer3,layer1")
    np.testing.assert_array_equal(both, np.hstack([features("layer3"), features("layer1")]))
    runs = []
    encoder: Any = load_encoder("random/resnet18?size=64#layer3,layer1", device="cpu")
    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, _: runs.append(1) if module.__class__.__name__ == "ResNet" else None
    )
    try:
        encoder.encode(PIXELS)
    finally:
        hook.remove()
    assert len(runs) == 1
    assert (encoder.spec.layer, encoder.spec.pooling, encoder.spec.dim) == (
        "layer3,layer1",
        "mean",
        320,
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("random/resnet18?size=64&blocks=2", "has 0 transformer blocks.*name layers"),
        ("random/vit_tiny_patch16_224?size=64&blocks=13", "has 12 transformer blocks, not 13"),
        ("random/vit_tiny_patch16_224?size=64&blocks=2#norm", "exclude each other"),
        ("random/resnet18?size=64#layer1,layer1", "one is named twice"),
        (
            "random/resnet18?size=64&pool=tokens#layer1,layer2",
            "pool=tokens keeps the tokens of one",
        ),
    ],
)
def test_layers_that_cannot_be(source: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_encoder(source, device="cpu")


@pytest.mark.slow  # three libraries of models are imported by a process of its own
def test_hubs_that_cannot_be_reached_say_what_to_fetch_and_where_to_put_it(tmp_path: Path) -> None:
    for package in ("timm", "open_clip", "transformers"):
        pytest.importorskip(package)
    script = Path(__file__).parents[1] / "support" / "unreachable_hubs.py"
    command = [sys.executable, "-W", "ignore", str(script), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)  # nobody else writes there
    hub = "https://huggingface.co"
    torch_home, hf_home = tmp_path / "torch" / "hub", tmp_path / "hf" / "hub"
    wanted = {
        "torchvision/resnet18": [
            "https://download.pytorch.org/models/resnet18-f37072fd.pth: <urlopen error [Errno 111]",
            f"Put that file into {torch_home}/checkpoints",
        ],
        "timm/resnet18.a1_in1k": [
            f"Fetch {hub}/timm/resnet18.a1_in1k/resolve/main/model.safetensors by hand",
            "checkpoint:FILE?arch=timm/resnet18",
            f"copy the folder models--timm--resnet18.a1_in1k of the cache there into {hf_home}",
        ],
        "open_clip/ViT-B-32@laion2b_s34b_b79k": [
            f"{hub}/laion/CLIP-ViT-B-32-laion2B-s34B-b79K/resolve/main/open_clip_model.safetensors",
            "open_clip/ViT-B-32@FILE",
        ],
        "hf:facebook/dinov2-small": [
            "`hf download facebook/dinov2-small --local-dir FOLDER`",
            "then give hf:FOLDER",
        ],
        "torch.hub:facebookresearch/dino:main/dino_vits16?trust=yes": [
            "clone https://github.com/facebookresearch/dino and give the folder",
            f"{torch_home}/checkpoints",
        ],
        f"torch.hub:{tmp_path}/someones/small": [
            "Fetch https://example.org/weights/small.pth by hand",
            f"put it at {torch_home}/checkpoints/small.pth",
        ],
    }
    assert said.keys() == wanted.keys()
    for source, parts in wanted.items():
        for part in parts:
            assert part in said[source]
