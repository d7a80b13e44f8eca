"""Published checkpoints: recognised by content, with the outputs of the code that wrote them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published_checkpoints import CASES, Case, moco_v2, moco_v3_vit, resnet, sup_contrast, vit

from featstore.backbones import load_encoder, parse_source
from featstore.backbones.checkpoint import open_checkpoint
from featstore.backbones.match import CheckpointMatch
from featstore.backbones.network import Network
from featstore.backbones.source import Source
from featstore.errors import InvalidInputError, WeightsError

pytest.importorskip("timm")


def built(make: Callable[[], Any]) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        return make()


def agree(ours: Any, theirs: Any) -> None:
    theirs = np.asarray(theirs)
    scale = np.abs(theirs).max()
    np.testing.assert_allclose(ours / scale, theirs / scale, atol=2e-5)


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_output_is_that_of_the_code_that_wrote_it(
    make: Callable[[], Case], tmp_path: Path, normalise: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    matches = []

    def watched(source: Source) -> tuple[Network, CheckpointMatch]:
        network, match = open_checkpoint(source)
        matches.append(match)
        return network, match

    monkeypatch.setattr("featstore.backbones.checkpoint.open_checkpoint", watched)
    case = built(make)
    path = tmp_path / "weights.pth"
    torch.save(case.content, path)
    encoder = load_encoder(f"checkpoint:{path}?size={case.size}", device="cpu")
    shape = (3, case.size, case.size, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with torch.inference_mode():
        expected = case.features(normalise(pixels, encoder.transform)).numpy()
    agree(encoder.encode(pixels), expected)
    assert encoder.spec.architecture == case.architecture
    if case.mean_std is not None:
        assert (encoder.transform.mean, encoder.transform.std) == tuple(
            (value,) * 3 for value in case.mean_std
        )
    assert [match.family for match in matches] == [case.family]


@pytest.mark.parametrize("wrap", ["_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_compiled_and_sharded_names(wrap: str, tmp_path: Path) -> None:
    state = {
        f"{wrap}{name.replace('blocks.0.', 'blocks.0._fsdp_wrapped_module.')}": tensor
        for name, tensor in built(vit).state_dict().items()
    }
    torch.save(state, tmp_path / "a.pth")
    network, match = open_checkpoint(parse_source(f"checkpoint:{tmp_path / 'a.pth'}"))
    for name, tensor in network.state(head=False).items():
        inner = name.replace("blocks.0.", "blocks.0._fsdp_wrapped_module.")
        assert torch.equal(tensor, state[f"{wrap}{inner}"])
    assert match.architecture == "timm/vit_tiny_patch16_224 (depth=2)"


def test_report_says_what_matched_and_what_was_left_out(tmp_path: Path) -> None:
    path = tmp_path / "moco.pth"
    torch.save(built(moco_v2).content, path)
    _, match = open_checkpoint(parse_source(f"checkpoint:{path}"))
    assert str(match).splitlines() == [
        "moco.pth: MoCo v2; ResNet, torchvision's names",
        "  100 tensors from entry 'state_dict' prefix 'module.encoder_q.' -> torchvision/resnet18",
        "  left out: fc (4)",
        "  not taken: state_dict/module.encoder_k.",
    ]


def test_choices_that_shapes_do_not_show_are_said(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(built(moco_v3_vit).content, path)
    network, match = open_checkpoint(parse_source(f"checkpoint:{path}"))
    assert network.module.blocks[0].attn.num_heads == 12  # type: ignore[union-attr, index]
    assert any("12 attention heads" in note for note in match.notes)
    torch.save(built(sup_contrast).content, path)
    _, match = open_checkpoint(parse_source(f"checkpoint:{path}"))
    assert any("?stem=cifar-padding2" in note for note in match.notes)


def test_stem_can_be_chosen(tmp_path: Path) -> None:
    case, path = built(sup_contrast), tmp_path / "weights.pth"
    torch.save(case.content, path)
    for stem, padding in (("cifar", (1, 1)), ("cifar-padding2", (2, 2))):
        network, _ = open_checkpoint(parse_source(f"checkpoint:{path}?stem={stem}"))
        assert network.module.conv1.padding == padding  # type: ignore[union-attr]
        assert f"stem={stem})" in network.architecture
    with pytest.raises(InvalidInputError, match=r"stem 'stl' is not one of imagenet, cifar"):
        open_checkpoint(parse_source(f"checkpoint:{path}?stem=stl"))


def test_position_embeddings_are_interpolated_as_timm_does(tmp_path: Path) -> None:
    from timm.layers import resample_abs_pos_embed

    state, path = built(lambda: vit(img_size=96)).state_dict(), tmp_path / "vit.pth"
    torch.save({"model": state}, path)
    encoder = load_encoder(f"checkpoint:{path}?size=64", device="cpu")
    note = "position embeddings 6 x 6 -> 4 x 4, bicubic"
    assert encoder.spec.weights == f"vit.pth ({note})"
    network, match = open_checkpoint(parse_source(f"checkpoint:{path}?size=64"))
    assert match.notes == (note,)
    expected = resample_abs_pos_embed(state["pos_embed"], [4, 4])  # type: ignore[no-untyped-call]
    torch.testing.assert_close(network.module.pos_embed, expected)  # type: ignore[arg-type]
    own = load_encoder(f"checkpoint:{path}", device="cpu")
    assert (own.transform.size, own.spec.weights) == (96, "vit.pth")
    assert own.spec.weights_digest != encoder.spec.weights_digest


@pytest.mark.slow  # a ViT-B/32, three times
def test_torchvision_vit_at_another_size(tmp_path: Path, normalise: Any) -> None:
    from torchvision.models import VisionTransformer

    with torch.random.fork_rng(devices=[]):
        module = VisionTransformer(64, 32, 12, 12, 768, 3072).eval()
    path = tmp_path / "vit.pth"
    torch.save(module.state_dict(), path)
    encoder = load_encoder(f"checkpoint:{path}", device="cpu")
    assert (encoder.spec.architecture, encoder.transform.size) == ("torchvision/vit_b_32", 64)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    module.heads = torch.nn.Identity()  # type: ignore[assignment]
    with torch.inference_mode():
        agree(encoder.encode(pixels), module(normalise(pixels, encoder.transform)))
    other = load_encoder(f"checkpoint:{path}?size=96", device="cpu")
    assert "2 x 2 -> 3 x 3" in other.spec.weights


def test_real_lightly_modules(tmp_path: Path, normalise: Any) -> None:
    models = pytest.importorskip("lightly.models")
    heads = pytest.importorskip("lightly.models.modules.heads")

    def method() -> torch.nn.Module:
        network = models.ResNetGenerator("resnet-18")
        children = list(network.children())[:-1]
        backbone = torch.nn.Sequential(*children, torch.nn.AdaptiveAvgPool2d(1))
        module = torch.nn.Module()
        module.backbone = backbone
        module.projection_head = heads.SimCLRProjectionHead(512, 512, 128)
        return module.eval()

    module: Any = built(method)
    torch.save({"state_dict": module.state_dict()}, tmp_path / "simclr.ckpt")
    encoder = load_encoder(f"checkpoint:{tmp_path / 'simclr.ckpt'}", device="cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    with torch.inference_mode():
        agree(
            encoder.encode(pixels), module.backbone(normalise(pixels, encoder.transform)).flatten(1)
        )


def test_unknown_content_asks_for_the_architecture(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"stem.weight": torch.zeros(3)}, path)
    with pytest.raises(InvalidInputError, match=r"content does not show which .*\?arch=resnet50"):
        load_encoder(f"checkpoint:{path}")


def test_another_architecture_than_asked_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(built(resnet).state_dict(), path)
    with pytest.raises(WeightsError, match=r"does not match torchvision/resnet50"):
        load_encoder(f"checkpoint:{path}?arch=resnet50")
