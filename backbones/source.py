"""Source: the text that names a backbone, parsed.

::

    [NAME=]KIND/MODEL[@WEIGHTS][?key=value&...][#LAYER]
    [NAME=]KIND:FILE[?key=value&...][#LAYER]

A file's name may hold ``@``, ``=``, ``/`` and ``:``, but neither ``?`` nor ``#``; a layer may hold
anything but ``?``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from featstore.errors import InvalidInputError
from featstore.suggest import did_you_mean

LAYER_OPTIONS = ("pool", "prefix_tokens", "blocks")

_NAME = re.compile(r"[A-Za-z0-9_.+-]+")
_HEAD = re.compile(
    rf"(?:(?P<name>{_NAME.pattern})=)?(?P<kind>[a-z][a-z0-9_.-]*)(?P<separator>[/:])(?P<rest>.*)",
    re.DOTALL,
)
_GRAMMAR = (
    "expected KIND/MODEL, e.g. 'torchvision/resnet50', 'timm/vit_small_patch14_dinov2', "
    "'random/resnet50?seed=0', or KIND:FILE, e.g. 'onnx:model.onnx', "
    "'checkpoint:model.pth?arch=resnet50'"
)


@dataclass(frozen=True)
class Source:
    """Where a backbone comes from and which activation of it is wanted.

    Attributes
    ----------
    text
        The source as the user wrote it, without ``NAME=``.
    kind
        ``"torchvision"``, ``"timm"``, ``"open_clip"``, ``"hf"``, ``"torch.hub"``, ``"onnx"``,
        ``"checkpoint"``, ``"random"`` or the name of an entry point.
    model
        Name of the model, or the path of the file.
    is_file
        Whether `model` is a path, or another address after ``:``.
    weights
        What followed ``@``.
    options
        What followed ``?``.
    layer
        What followed ``#``; None for the default.
    name
        Name of the feature block, if the user chose one.
    """

    text: str
    kind: str
    model: str
    is_file: bool
    weights: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    layer: str | None = None
    name: str | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers named after ``#``, separated by commas."""
        return tuple(part.strip() for part in self.layer.split(",")) if self.layer else ()

    def check_options(self, *known: str) -> None:
        """Refuse options that this kind of backbone does not have.

        Raises
        ------
        InvalidInputError
            Naming the first unknown option and the near ones.
        """
        for key in self.options:
            if key not in known:
                raise InvalidInputError(
                    f"backbone {self.text!r}: unknown option {key!r}. {did_you_mean(key, known)}"
                )

    def integer(self, key: str, *, default: int, minimum: int) -> int:
        """Read an option that is a whole number."""
        text = self.options.get(key, str(default))
        if not re.fullmatch(r"\d+", text) or int(text) < minimum:
            raise InvalidInputError(
                f"backbone {self.text!r}: {key} must be a whole number >= {minimum}, got {text!r}"
            )
        return int(text)


def parse_source(text: str) -> Source:
    """Parse the text that names a backbone.

    Raises
    ------
    InvalidInputError
        If the text does not follow the grammar.

    Examples
    --------
    >>> source = parse_source("rn=torchvision/resnet50@IMAGENET1K_V1?pool=mean#layer3")
    >>> source.kind, source.model, source.weights, source.options, source.layer, source.name
    ('torchvision', 'resnet50', 'IMAGENET1K_V1', {'pool': 'mean'}, 'layer3', 'rn')
    """
    head = _HEAD.fullmatch(text)
    if head is None:
        raise InvalidInputError(f"cannot read backbone {text!r}: {_GRAMMAR}")
    is_file = head["separator"] == ":"
    address, *layer = head["rest"].split("#", 1)
    address, *query = address.split("?", 1)
    model, *weights = [address] if is_file else address.split("@", 1)
    for what, given in (("layer after '#'", layer), ("weights after '@'", weights)):
        if given == [""]:
            raise InvalidInputError(f"cannot read backbone {text!r}: no {what}")
    if not model:
        raise InvalidInputError(
            f"cannot read backbone {text!r}: no {'file' if is_file else 'model'}; {_GRAMMAR}"
        )
    if layer and "?" in layer[0]:
        raise InvalidInputError(
            f"cannot read backbone {text!r}: options come before the layer, as in "
            f"'{head['kind']}{head['separator']}{model}?{layer[0].split('?', 1)[1]}"
            f"#{layer[0].split('?', 1)[0]}'"
        )
    return Source(
        text=text.removeprefix(f"{head['name']}=") if head["name"] else text,
        kind=head["kind"],
        model=model,
        is_file=is_file,
        weights=weights[0] if weights else None,
        options=_options(text, query[0]) if query else {},
        layer=layer[0] if layer else None,
        name=head["name"],
    )


def feature_name(source: str | Source) -> str:
    """Name the feature block that a source makes.

    The user's ``NAME``, else the model (a file's stem; ``random_`` before a random one) and the
    layer where one was named; what is not of ``[A-Za-z0-9_.+-]`` becomes ``_``.

    Examples
    --------
    >>> [feature_name(s) for s in ("timm/resnet50.a1_in1k", "onnx:nets/vit.onnx#/norm/Add")]
    ['resnet50', 'vit._norm_Add']
    >>> [feature_name(s) for s in ("random/resnet50?seed=1", "a=timm/resnet50")]
    ['random_resnet50', 'a']
    """
    if isinstance(source, str):
        source = parse_source(source)
    if source.name:
        return source.name
    if source.kind in ("hf", "torch.hub"):
        name = PurePath(source.model).name
    elif source.is_file:
        name = PurePath(source.model).stem
    else:
        # Whatever follows the dot is timm's weights tag; no architecture has a dot in its name.
        name = source.model.rpartition("/")[2].partition(".")[0]
    if source.kind == "random":
        name = f"random_{name}"
    if source.layer:
        name = f"{name}.{source.layer}"
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", name)


def _options(text: str, query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in query.split("&"):
        key, equals, value = pair.partition("=")
        if not (key and equals and value):
            raise InvalidInputError(
                f"cannot read backbone {text!r}: option {pair!r} is not of the form key=value"
            )
        if key in options:
            raise InvalidInputError(f"cannot read backbone {text!r}: option {key!r} given twice")
        options[key] = value
    return options
