"""What every torch encoder promises: plain torch's numbers, whatever the batch."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision import models

from featstore.backbones import load_encoder
from featstore.backbones.architectures import untrained
from featstore.encoder import overlapping
from featstore.errors import InvalidInputError, MissingDependencyError
from featstore.transform import paper

SOURCES = ["random/resnet18?size=64", "random/vit_tiny_patch16_224?size=64"]


@pytest.mark.parametrize("source", SOURCES)
def test_features_do_not_depend_on_the_batch(source: str, pixels: NDArray[np.uint8]) -> None:
    encoder = load_encoder(source, device="cpu")
    together = encoder.encode(pixels)
    np.testing.assert_array_equal(
        together, np.concatenate([encoder.encode(pixels[i : i + 1]) for i in range(len(pixels))])
    )
    order = np.random.default_rng(1).permutation(len(pixels))
    np.testing.assert_array_equal(together[order], encoder.encode(pixels[order]))
    assert together.dtype == np.float32
    assert together.shape == (len(pixels), encoder.spec.dim)


def test_views_and_read_only_pixels_are_fine(pixels: NDArray[np.uint8]) -> None:
    encoder = load_encoder(SOURCES[0], device="cpu")
    frozen = pixels.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(encoder.encode(frozen[::-2]), encoder.encode(pixels)[::-2])


def test_features_are_plain_torch(pixels: NDArray[np.uint8], normalise: Any) -> None:
    encoder = load_encoder("random/resnet18?seed=4&size=64", device="cpu", micro_batch=3)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        network = models.resnet18(weights=None).eval()
    network.fc = torch.nn.Identity()
    with torch.inference_mode():
        expected = network(normalise(pixels, encoder.transform)).numpy()
    np.testing.assert_allclose(encoder.encode(pixels), expected, rtol=1e-4, atol=1e-5)


def test_inner_layers(pixels: NDArray[np.uint8], normalise: Any) -> None:
    network = untrained("resnet18", seed=0).module
    stages = torch.nn.Sequential(
        network.conv1, network.bn1, network.relu, network.maxpool, network.layer1, network.layer2
    )
    encoder = load_encoder("random/resnet18?size=64#layer2", device="cpu")
    with torch.inference_mode():
        expected = stages(normalise(pixels, encoder.transform))
    assert (encoder.spec.layer, encoder.spec.pooling, encoder.spec.dim) == ("layer2", "mean", 128)
    np.testing.assert_allclose(encoder.encode(pixels), expected.mean((2, 3)), rtol=1e-4, atol=1e-5)

    flat = load_encoder("random/resnet18?size=64&pool=flatten#layer2", device="cpu")
    np.testing.assert_allclose(flat.encode(pixels), expected.flatten(1), rtol=1e-4, atol=1e-5)


def test_pooling_that_changes_values_changes_the_spec() -> None:
    source = "random/vit_tiny_patch16_224?size=64&pool=mean"
    usual, named, other = (
        load_encoder(text, device="cpu").spec
        for text in (
            f"{source}#norm",
            f"{source}&prefix_tokens=1#norm",
            f"{source}&prefix_tokens=2#norm",
        )
    )
    assert usual.pooling == named.pooling == "mean"
    assert other.pooling == "mean (prefix_tokens=2)"


def test_default_layer_has_a_name(pixels: NDArray[np.uint8]) -> None:
    default = load_encoder("random/resnet18?size=64", device="cpu")
    named = load_encoder("random/resnet18?size=64#penultimate", device="cpu")
    assert default.spec.layer == named.spec.layer == "penultimate"
    np.testing.assert_array_equal(default.encode(pixels), named.encode(pixels))


def test_digest_is_of_what_is_used() -> None:
    def digest(source: str) -> str:
        return load_encoder(source, device="cpu").spec.weights_digest

    backbone = digest("random/resnet18?size=64")
    assert backbone == digest("random/resnet18?size=32#layer1")
    assert backbone != digest("random/resnet18?size=64#fc")  # the head's weights count here
    assert backbone != digest("random/resnet18?size=64&seed=1")


def test_seeds_decide_whatever_the_global_state() -> None:
    for architecture in ("resnet18", "timm/resnet18", "vit_tiny_patch16_224", "convnext_atto"):
        with torch.random.fork_rng():
            states = []
            for noise in (1, 2):
                torch.manual_seed(noise)
                states.append(untrained(architecture, seed=7).module.state_dict())
        for name, tensor in states[0].items():
            assert torch.equal(tensor, states[1][name]), f"{architecture} {name}"


def test_bf16_is_near_fp32(pixels: NDArray[np.uint8]) -> None:
    exact = load_encoder(SOURCES[0], device="cpu").encode(pixels)
    half = load_encoder(SOURCES[0], device="cpu", numerics="bf16")
    rounded = half.encode(pixels)
    assert half.numerics == "bf16"
    assert not np.array_equal(exact, rounded)
    cosine = (exact * rounded).sum(1) / np.linalg.norm(exact, axis=1)
    assert (cosine / np.linalg.norm(rounded, axis=1) > 0.999).all()


def test_threads_count_for_the_forward_pass_only(pixels: NDArray[np.uint8]) -> None:
    before = torch.get_num_threads()
    encoder = load_encoder("random/resnet18?size=64#layer4", device="cpu", threads=3, micro_batch=1)
    seen = set()
    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, inputs: seen.add((threading.get_ident(), torch.get_num_threads()))
    )
    try:
        encoder.encode(pixels)
    finally:
        hook.remove()
    assert {threads for _, threads in seen} == {1}
    assert 1 < len(seen) <= 3
    assert torch.get_num_threads() == before


def test_features_do_not_depend_on_threads(pixels: NDArray[np.uint8]) -> None:
    for source in SOURCES:
        one, three = (load_encoder(source, device="cpu", threads=n) for n in (1, 3))
        np.testing.assert_array_equal(one.encode(pixels), three.encode(pixels))


def test_encoders_may_be_called_from_several_threads(pixels: NDArray[np.uint8]) -> None:
    encoder = load_encoder("random/resnet18?size=64", device="cpu")
    expected = encoder.encode(pixels)
    results: dict[int, NDArray[np.float32]] = {}

    def work(i: int) -> None:
        results[i] = encoder.encode(pixels)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for features in results.values():
        np.testing.assert_array_equal(features, expected)


def test_paper_transform_keeps_the_normalisation() -> None:
    own = load_encoder("random/vit_tiny_patch16_224?mean=0.5", device="cpu").transform
    ours = load_encoder("random/vit_tiny_patch16_224?mean=0.5", device="cpu", transform="paper")
    assert own.mean == (0.5, 0.5, 0.5)
    assert ours.transform == paper(own)


def test_transform_options() -> None:
    transform = load_encoder(
        "random/resnet18?size=112&interp=bicubic&mean=0.1,0.2,0.3&std=0.5", device="cpu"
    ).transform
    assert (transform.size, transform.resize, transform.interpolation) == (112, 128, "bicubic")
    assert (transform.mean, transform.std) == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("torchvison/resnet50", "unknown kind 'torchvison'. Did you mean torchvision"),
        ("torchvision:resnet50", "must have the form torchvision/MODEL"),
        ("random/resnet5O", "no architecture 'resnet5O'. Did you mean"),
        ("random/jax/resnet50", "neither torchvision/NAME, timm/NAME"),
        ("random/resnet18@V1", "has no weights 'V1'"),
        ("random/resnet18?sede=1", "unknown option 'sede'. Did you mean seed"),
        ("random/resnet18?seed=x", "seed must be a whole number >= 0, got 'x'"),
        ("random/resnet18?mean=1,2", "mean must be one number or three"),
        ("random/resnet18?interp=cubic", "'cubic' is not one of"),
        ("random/resnet18?size=64#layer5", "no layer 'layer5'. Did you mean layer4"),
        ("random/resnet18?size=64#layer1.0.relu", "runs 2 times in one forward pass"),
        ("random/googlenet?size=64#aux1", "the forward pass does not run it"),
        ("random/resnet18?size=64&pool=cls", "pool=cls does not fit"),
        ("random/alexnet?size=16", "does not take 16 x 16 pixels"),
    ],
)
def test_errors_say_what_is_wrong(source: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_encoder(source, device="cpu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "cpu", "numerics": "fp16"}, "'fp16' needs a CUDA device"),
        ({"device": "cpu", "numerics": "fp8"}, "'fp8' is not one of fp32"),
        ({"device": "tpux"}, "device 'tpux' is not one"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not there"),
        ({"device": "cpu", "threads": 0}, "threads must be at least 1"),
        ({"device": "cpu", "transform": "mine"}, "'mine' is not one of own, paper"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_encoder("random/resnet18?size=64", **settings)


def test_pixels_are_checked(pixels: NDArray[np.uint8]) -> None:
    encoder = load_encoder("random/resnet18?size=64", device="cpu")
    for wrong in (pixels[0], pixels[:, :32], pixels.astype(np.float32)):
        with pytest.raises(InvalidInputError, match=r"must be uint8 of shape \(n, 64, 64, 3\)"):
            encoder.encode(wrong)


def test_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.delitem(sys.modules, "featstore.backbones.timm", raising=False)
    with pytest.raises(MissingDependencyError, match=r'pip install "featstore\[timm\]"'):
        load_encoder("timm/resnet18")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("source", SOURCES)
def test_cuda_agrees_with_the_cpu(source: str, pixels: NDArray[np.uint8]) -> None:
    encoder = load_encoder(source, device="cuda")
    features = encoder.encode(pixels)
    np.testing.assert_allclose(
        features, load_encoder(source, device="cpu").encode(pixels), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_array_equal(features[:1], encoder.encode(pixels[:1]))
    assert torch.backends.cudnn.allow_tf32


class Noted:
    """A stand-in for the copies of a CUDA device, which come when they are waited for."""

    ahead = 1

    def __init__(self) -> None:
        self.log: list[str] = []

    def buffer(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        return np.zeros(shape, np.uint8)

    def upload(self, pixels: torch.Tensor) -> torch.Tensor:
        self.log.append(f"upload {tuple(pixels.shape)} {pixels.dtype}")
        return pixels

    def download(self, features: torch.Tensor) -> Any:
        self.log.append("download")

        def wait() -> NDArray[np.float32]:
            self.log.append("wait")
            return features.numpy()

        return wait


def test_nothing_is_waited_for_before_all_is_begun(pixels: NDArray[np.uint8]) -> None:
    """Bytes travel, not floats, part by part; two batches may be under way."""
    encoder = load_encoder(SOURCES[0], device="cpu", micro_batch=4, threads=1)
    noted = Noted()
    device = dataclasses.replace(encoder, transfer=noted)
    assert (overlapping(device), overlapping(encoder)) == (device, None)
    parts = -(-len(pixels) // 4)
    waits = [device.begin(pixels), device.begin(pixels[::-1])]
    assert noted.log == ["upload (4, 64, 64, 3) torch.uint8", "download"] * parts * 2
    features = [wait() for wait in waits]
    assert noted.log[4 * parts :] == ["wait"] * parts * 2
    np.testing.assert_array_equal(features[0], encoder.encode(pixels))
    np.testing.assert_array_equal(features[1], features[0][::-1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("source", SOURCES)
def test_batches_overlap_on_cuda(source: str, pixels: NDArray[np.uint8]) -> None:
    """Whatever is under way, and from whichever memory."""
    encoder = load_encoder(source, device="cuda", micro_batch=4)
    assert overlapping(encoder) is encoder
    locked = encoder.pixel_buffer(pixels.shape)
    assert torch.from_numpy(locked).is_pinned()
    assert not locked.any()
    expected = encoder.encode(pixels)
    locked[:] = pixels
    waits = [encoder.begin(locked if i % 2 else pixels) for i in range(20)]
    for wait in waits:
        np.testing.assert_array_equal(wait(), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_host_does_not_wait_for_cuda(pixels: NDArray[np.uint8]) -> None:
    encoder = load_encoder(SOURCES[0], device="cuda")
    encoder.encode(pixels)  # kernels are loaded, constants are there
    locked = encoder.pixel_buffer(pixels.shape)
    done = torch.cuda.Event()
    torch.cuda._sleep(2_000_000_000)  # cycles, about a second
    done.record()
    wait = encoder.begin(locked)
    assert not done.query()
    wait()
    assert done.query()


def test_where_memory_does_not_suffice_micro_batches_shrink(pixels: NDArray[np.uint8]) -> None:
    encoder = load_encoder("random/resnet18?size=64", device="cpu", micro_batch=8)
    smaller = load_encoder("random/resnet18?size=64", device="cpu", micro_batch=2)
    sizes = []

    def tight(images: torch.Tensor) -> Any:
        sizes.append(len(images))
        if len(images) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return encoder.forward(images)

    tried = dataclasses.replace(encoder, forward=tight, threads=1)
    np.testing.assert_array_equal(tried.encode(pixels), smaller.encode(pixels))
    assert sizes[:2] == [8, 4]
    assert set(sizes[2:]) == {2}
