"""The grammar of sources, its errors, and the names of features."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featstore.backbones import Source, feature_name, parse_source
from featstore.errors import InvalidInputError

WORD = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
FREE = st.text(st.characters(exclude_characters="?#@=&\x00", exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("torchvision/resnet50", Source("torchvision/resnet50", "torchvision", "resnet50", False)),
        (
            "a.b-1=torchvision/resnet50@V1#layer3",
            Source(
                "torchvision/resnet50@V1#layer3",
                "torchvision",
                "resnet50",
                False,
                weights="V1",
                layer="layer3",
                name="a.b-1",
            ),
        ),
        (
            "onnx:C:/x=1/m@2.onnx?pool=cls&mean=0.5,0.5,0.5#/norm/Add:0#1",
            Source(
                "onnx:C:/x=1/m@2.onnx?pool=cls&mean=0.5,0.5,0.5#/norm/Add:0#1",
                "onnx",
                "C:/x=1/m@2.onnx",
                True,
                options={"pool": "cls", "mean": "0.5,0.5,0.5"},
                layer="/norm/Add:0#1",
            ),
        ),
        (
            "random/timm/vit_tiny_patch16_224?seed=3",
            Source(
                "random/timm/vit_tiny_patch16_224?seed=3",
                "random",
                "timm/vit_tiny_patch16_224",
                False,
                options={"seed": "3"},
            ),
        ),
    ],
)
def test_parse(text: str, expected: Source) -> None:
    assert parse_source(text) == expected


@given(
    kind=WORD,
    model=FREE,
    weights=st.none() | WORD,
    options=st.dictionaries(WORD, FREE, max_size=3),
    layer=st.none() | FREE,
    name=st.none() | WORD,
)
def test_what_is_written_is_parsed(
    kind: str,
    model: str,
    weights: str | None,
    options: dict[str, str],
    layer: str | None,
    name: str | None,
) -> None:
    text = f"{kind}/{model}" + (f"@{weights}" if weights else "")
    if options:
        text += "?" + "&".join(f"{key}={value}" for key, value in options.items())
    text += f"#{layer}" if layer else ""
    parsed = parse_source(f"{name}={text}" if name else text)
    assert parsed == Source(text, kind, model, False, weights, options, layer, name)
    assert re.fullmatch(r"[A-Za-z0-9_.+-]*", feature_name(parsed))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnet50", "expected KIND/MODEL"),
        ("", "expected KIND/MODEL"),
        ("torchvision/", "no model"),
        ("onnx:", "no file"),
        ("torchvision/resnet50@", "no weights after '@'"),
        ("torchvision/resnet50#", "no layer after '#'"),
        ("torchvision/resnet50?pool", "'pool' is not of the form key=value"),
        ("torchvision/resnet50?pool=cls&pool=mean", "'pool' given twice"),
        (
            "torchvision/resnet50#layer3?pool=mean",
            "options come before the layer, as in 'torchvision/resnet50?pool=mean#layer3'",
        ),
    ],
)
def test_errors_say_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        parse_source(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("torchvision/resnet50@IMAGENET1K_V1", "resnet50"),
        ("timm/vit_small_patch14_dinov2.lvd142m?size=224", "vit_small_patch14_dinov2"),
        ("timm/resnet50@a1_in1k#layer3.0", "resnet50.layer3.0"),
        ("random/torchvision/resnet50?seed=1", "random_resnet50"),
        ("onnx:nets/vit s.onnx#/norm/Add", "vit_s._norm_Add"),
        ("checkpoint:/a/b/moco.v2.pth?arch=resnet50", "moco.v2"),
        ("mine=checkpoint:x.pth#fc", "mine"),
    ],
)
def test_feature_names(text: str, name: str) -> None:
    assert feature_name(text) == name


def test_importing_backbones_does_not_import_torch() -> None:
    code = (
        "import sys, featstore.backbones; "
        "print([m for m in ('torch', 'timm', 'onnx', 'onnxruntime') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
