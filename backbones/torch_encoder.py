"""TorchEncoder: a torch network up to one layer, as an encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from featstore.backbones.batching import Waiting, begin_in_micro_batches, check_pixels
from featstore.backbones.blocks import last_blocks
from featstore.backbones.compiled import compiled
from featstore.backbones.layer import Forwards, check_runs_once, taps
from featstore.backbones.network import Network, weights_digest
from featstore.backbones.pooling import (
    Pooling,
    choose_pooling,
    count_tokens,
    describe_pooling,
    pool,
)
from featstore.backbones.settings import Settings
from featstore.backbones.source import Source
from featstore.backbones.transfer import Transfer, transfer_of
from featstore.encoder import Encoder
from featstore.errors import InvalidInputError
from featstore.micro_batch import MicroBatch
from featstore.optional import import_optional
from featstore.spec import BackboneSpec, Numerics
from featstore.transform import Transform

PENULTIMATE = "penultimate"
TOKENS = "tokens"

# Fresh large activations cost page faults: on a CPU, EfficientNet-Lite0 takes 1.0 (4 images), 1.16
# (8), 1.5 (16) and 1.8 (32) times the processor time per image.
_MICRO_BATCH = {"cpu": 4, "cuda": 128}

_GLOBAL_STATE = Lock()


@dataclass(frozen=True, eq=False)
class TorchEncoder:
    """A network on a device; see `featstore.encoder.Encoder`.

    Images are computed in micro-batches of one fixed size, the last one filled up with black, so
    that the features of an image do not depend on how many others came with it; where memory does
    not suffice, in smaller ones (`featstore.micro_batch`).  Threads may
    share encoders; their calls take turns, because torch's precision is a global of the process.
    """

    spec: BackboneSpec
    transform: Transform
    numerics: Numerics
    engine: str
    device: torch.device
    threads: int
    transfer: Transfer
    micro_batch: MicroBatch
    poolings: tuple[Pooling, ...]
    prefix_tokens: int
    module: nn.Module
    forward: Forwards
    backend: str | None = None

    @property
    def backends(self) -> Mapping[str, Callable[[], Encoder]]:
        """What computes the exported network in float32: on CPUs others' runtimes."""
        if self.backend is not None or self.numerics != "fp32":
            return {}
        if self.device.type == "cuda":
            return {"inductor": partial(compiled, self)}
        if self.device.type != "cpu":
            return {}

        def on(runtime: str) -> Encoder:
            exported = import_optional("featstore.backbones.exported", extra="fast")
            encoder: Encoder = exported.exported(self, runtime)
            return encoder

        return {runtime: partial(on, runtime) for runtime in ("onnxruntime", "openvino")}

    @property
    def ahead(self) -> int:
        """Batches that may be under way when another one is begun."""
        return self.transfer.ahead

    def pixel_buffer(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Make an array of zeros for pixels that are to be encoded."""
        return self.transfer.buffer(shape)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute features, shape (n, dim), of RGB images, shape (n, size, size, 3)."""
        return self.begin(pixels)()

    def begin(self, pixels: NDArray[np.uint8]) -> Waiting:
        """Begin to compute features; see `featstore.encoder.Overlapping`."""
        check_pixels(pixels, size=self.transform.size)
        with _precision(self.device):
            return begin_in_micro_batches(
                self._begin,
                pixels,
                micro_batch=self.micro_batch,
                dim=self.spec.dim,
                threads=self.threads,
            )

    def _begin(self, pixels: NDArray[np.uint8]) -> Waiting:
        if self.device.type == "cpu":
            # Rounding then does not depend on the number of cores; the micro-batches have the rest.
            torch.set_num_threads(1)
        # torch warns about sharing memory that it must not write to, and refuses to go backwards.
        writable = torch.from_numpy(np.require(pixels, requirements=("C", "W")))
        with _inference(self.device, self.numerics):
            images = self._normalise(self.transfer.upload(writable))
            return self.transfer.download(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """Compute features, shape (n, dim), of normalised images, shape (n, 3, size, size)."""
        activations = self.forward(images)
        return torch.cat(pooled(activations, self.poolings, prefix_tokens=self.prefix_tokens), 1)

    def _normalise(self, pixels: Tensor) -> Tensor:
        """Do what ToTensor and Normalize do, in their order of operations, to a batch."""
        images = pixels.permute(0, 3, 1, 2).float().div_(255)
        mean, std = self._statistics
        return images.sub_(mean).div_(std)

    @cached_property
    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, on the device: to copy them there waits for it."""
        mean, std = (
            torch.tensor(values, device=self.device).view(3, 1, 1)
            for values in (self.transform.mean, self.transform.std)
        )
        return mean, std


def torch_encoder(network: Network, source: Source, settings: Settings) -> TorchEncoder:
    """Place a network on its device and find out its dimension.

    Parameters
    ----------
    network
        What a family or a checkpoint built.
    source
        Which layers and pooling; by default the input of the classification head, or with
        ``pool=tokens`` what that is pooled from.  Several layers are pooled one by one and set
        side by side; so are ``blocks=n``, the last n of a transformer.
    settings
        Device, numerics, transform and threads.

    Raises
    ------
    InvalidInputError
        If the device is not there, or the layer, pooling or input size do not fit the network.
    """
    device = _device(settings)
    transform = settings.transform_for(source, network.transform)
    network.module.eval()
    layer, forward = _layer(network, source)
    named = [name for name in source.layers if name not in (PENULTIMATE, TOKENS)]
    in_head = any(network.in_head(name) for name in named)
    digest = weights_digest(network.state(head=in_head).items())
    prefix_tokens = source.integer("prefix_tokens", default=network.prefix_tokens, minimum=0)

    # Pixels arrive as NHWC, which is channels-last: convolutions then need no reordering.
    network.module.to(device).to(memory_format=torch.channels_last)
    probe = torch.zeros(1, 3, transform.size, transform.size, device=device)
    try:
        for name in named:
            check_runs_once(network.module, name, probe)
        with torch.inference_mode():
            activations = forward(probe)
    except (AssertionError, RuntimeError, ValueError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(
            f"backbone {source.text!r} does not take {transform.size} x {transform.size} pixels: "
            f"{error}; choose others with ?size="
        ) from error
    poolings = tuple(
        choose_pooling(
            source.options.get("pool"),
            tuple(activation.shape),
            prefix_tokens=prefix_tokens,
            layer=layer,
        )
        for activation in activations
    )
    if "tokens" in poolings and len(poolings) > 1:
        raise InvalidInputError(
            f"backbone {source.text!r}: pool=tokens keeps the tokens of one layer, not of "
            f"{len(poolings)}; extract each under a name of its own"
        )
    described = [
        describe_pooling(how, prefix_tokens=prefix_tokens, usual=network.prefix_tokens)
        for how in poolings
    ]
    return TorchEncoder(
        spec=BackboneSpec(
            source=source.text,
            architecture=network.architecture,
            weights=network.weights,
            weights_digest=digest,
            layer=layer,
            pooling=described[0] if len(set(described)) == 1 else ", ".join(described),
            dim=sum(
                part.shape[1] for part in pooled(activations, poolings, prefix_tokens=prefix_tokens)
            ),
            n_tokens=count_tokens(activations[0], poolings[0], prefix_tokens=prefix_tokens),
        ),
        transform=transform,
        numerics=settings.numerics,
        engine=f"torch {torch.__version__} {_device_label(device)}",
        device=device,
        threads=settings.threads_on(device.type),
        transfer=transfer_of(device),
        micro_batch=MicroBatch(settings.micro_batch or _MICRO_BATCH.get(device.type, 32)),
        poolings=poolings,
        prefix_tokens=prefix_tokens,
        module=network.module,
        forward=forward,
    )


def _layer(network: Network, source: Source) -> tuple[str, Forwards]:
    """Name the layers that a source asks for, and make the function that computes them."""
    layers = source.layers
    if "blocks" in source.options:
        if layers:
            raise InvalidInputError(
                f"backbone {source.text!r}: blocks= and the layers {source.layer!r} exclude each "
                "other; give one of them"
            )
        count = source.integer("blocks", default=1, minimum=1)
        forward = last_blocks(network.module, count, source=source.text)
        return f"last {count} blocks, normalised", forward
    layer = (
        layers[0] if layers else TOKENS if source.options.get("pool") == "tokens" else PENULTIMATE
    )
    if len(layers) < 2 and layer in (PENULTIMATE, TOKENS):
        computed = {PENULTIMATE: network.penultimate, TOKENS: network.tokens}[layer]
        if computed is None:
            raise InvalidInputError(
                f"backbone {source.text!r}: which layer holds the tokens of "
                f"{network.architecture} is not known; name one whose activation has positions, "
                "as in '...?pool=tokens#layer4'"
            )
        return layer, lambda images: [computed(images)]
    return ",".join(layers), taps(network.module, layers)


def pooled(
    activations: Sequence[Tensor], poolings: Sequence[Pooling], *, prefix_tokens: int
) -> list[Tensor]:
    """Pool every layer's activation; arrays of shape (n, d_i), to be set side by side."""
    return [
        part
        for activation, how in zip(activations, poolings, strict=True)
        for part in pool(activation.float(), how, prefix_tokens=prefix_tokens)
    ]


@contextmanager
def _precision(device: torch.device) -> Iterator[None]:
    """Fix what rounds results and is global to the process, and put it back afterwards."""
    with ExitStack() as stack:
        stack.enter_context(_GLOBAL_STATE)
        stack.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
        torch.set_float32_matmul_precision("highest")
        # Threads that start later would inherit what the encoding threads set for themselves.
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        if device.type == "cuda":
            stack.enter_context(
                torch.backends.cudnn.flags(
                    enabled=True, benchmark=False, deterministic=True, allow_tf32=False
                )
            )
        yield


@contextmanager
def _inference(device: torch.device, numerics: Numerics) -> Iterator[None]:
    """Enter the modes that torch keeps per thread."""
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[numerics]
    with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=numerics != "fp32"):
        yield


def _device(settings: Settings) -> torch.device:
    """Resolve and check the device."""
    text = settings.device
    if text == "auto":
        text = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(text)
    except RuntimeError:
        raise InvalidInputError(
            f"device {text!r} is not one; use 'auto', 'cpu', 'cuda' or 'cuda:N'"
        ) from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidInputError(
            f"device {text!r} is not there: torch sees {torch.cuda.device_count()} CUDA devices; "
            "use device='cpu' or 'auto'"
        )
    if device.type == "cpu" and settings.numerics == "fp16":
        raise InvalidInputError(
            "numerics 'fp16' needs a CUDA device; on the CPU use 'fp32', or 'bf16'"
        )
    return device


def _device_label(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
