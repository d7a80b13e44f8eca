"""Opening a backbone: from its source to an encoder."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from featstore.backbones.settings import Settings, TransformChoice
from featstore.backbones.source import Source, parse_source
from featstore.encoder import Encoder
from featstore.errors import InvalidInputError, WeightsError
from featstore.optional import import_optional
from featstore.spec import Numerics
from featstore.suggest import did_you_mean
from featstore.transform import Decode

ENTRY_POINTS = "featstore.backbones"

# kind -> module, extra that it needs, what follows KIND
_KINDS = {
    "torchvision": ("featstore.backbones.torchvision", "torchvision", "/MODEL"),
    "timm": ("featstore.backbones.timm", "timm", "/MODEL"),
    "open_clip": ("featstore.backbones.open_clip", "open-clip", "/MODEL"),
    "hf": ("featstore.backbones.transformers", "hf", ":MODEL"),
    "torch.hub": ("featstore.backbones.torch_hub", "torch", ":REPOSITORY/ENTRY"),
    "random": ("featstore.backbones.random_init", "timm", "/MODEL"),
    "onnx": ("featstore.backbones.onnx", "onnx", ":FILE"),
    "checkpoint": ("featstore.backbones.checkpoint", "timm", ":FILE"),
}


def load_encoder(
    source: str | Source,
    *,
    device: str = "auto",
    numerics: Numerics = "fp32",
    transform: TransformChoice = "own",
    threads: int | None = None,
    micro_batch: int | None = None,
    decode: Decode = "exact",
) -> Encoder:
    """Open a pretrained backbone.

    Parameters
    ----------
    source
        ``torchvision/MODEL[@WEIGHTS]``, ``timm/MODEL[.TAG]``, ``random/MODEL[?seed=0]``,
        ``open_clip/MODEL@TAG``, ``hf:MODEL``, ``torch.hub:REPOSITORY/ENTRY``, ``onnx:FILE`` or
        ``checkpoint:FILE[?arch=MODEL]``; then options as ``?key=value&...`` and
        ``#LAYER[,LAYER...]``.  Options of all kinds:
        ``pool=cls|mean|cls+mean|none|flatten|tokens``, ``prefix_tokens=N``, ``blocks=N``,
        ``size=N``, ``resize=N``, ``interp=bilinear|bicubic|...``,
        ``mean=r,g,b``, ``std=r,g,b``.  By default the layer is the input of the classification
        head; vectors are taken as they are, maps averaged, tokens reduced to the class token.
        ``pool=tokens`` keeps all patch tokens, by default of the last layer.
        Packages add kinds by entry points of the group ``featstore.backbones``: a callable of
        (`Source`, `Settings`) that returns an encoder.
    device
        ``"auto"`` (CUDA if there is one), ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    numerics
        Precision of the forward pass; ``"fp32"`` leaves TF32 off.
    transform
        ``"own"``: the one published with the weights.  ``"paper"``: `featstore.transform.paper`.
    threads
        Micro-batches to compute at a time on a CPU, each on one thread; all cores if None.
    micro_batch
        Images per forward pass; a measured default if None.
    decode
        ``"exact"``, ``"fast"``, ``"dct"`` or ``"cuda"``: how the encoder's pixels come about, see
        `featstore.transform.Transform`.

    Returns
    -------
    encoder
        Whose features do not depend on how images are batched.

    Raises
    ------
    InvalidInputError
        If the source, an option, a layer or the device does not exist.
    WeightsError
        If the weights cannot be had or do not match the architecture.
    MissingDependencyError
        If an optional package is needed.

    Examples
    --------
    >>> import numpy as np
    >>> encoder = load_encoder("random/resnet18?size=32", device="cpu")
    >>> encoder.encode(np.zeros((3, 32, 32, 3), np.uint8)).shape
    (3, 512)
    """
    if isinstance(source, str):
        source = parse_source(source)
    settings = Settings(device, numerics, transform, threads, micro_batch, decode)
    return _opener(source)(source, settings)


def _opener(source: Source) -> Callable[[Source, Settings], Encoder]:
    """Find what opens this kind of source."""
    if source.kind not in _KINDS:
        plugins = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
        if source.kind not in plugins:
            raise InvalidInputError(
                f"backbone {source.text!r}: unknown kind {source.kind!r}. "
                f"{did_you_mean(source.kind, [*_KINDS, *plugins])}"
            )
        plugin: Callable[[Source, Settings], Encoder] = plugins[source.kind].load()
        return plugin
    module, extra, form = _KINDS[source.kind]
    if source.is_file != form.startswith(":"):
        raise InvalidInputError(f"backbone {source.text!r} must have the form {source.kind}{form}")
    if form == ":FILE" and not Path(source.model).is_file():
        raise WeightsError(f"backbone {source.text!r}: there is no file {source.model!r}")
    opener: Callable[[Source, Settings], Encoder]
    opener = import_optional(module, extra=extra).open_encoder
    return opener
