"""FeatureSpec: an identity that outlives releases, also without pixels."""

from __future__ import annotations

import dataclasses

from featstore.spec import BackboneSpec, FeatureSpec
from featstore.transform import Transform

BACKBONE = BackboneSpec("s", "torchvision/resnet50", "V2", "0" * 64, "penultimate", "none", 2048)
EXTRACTED = FeatureSpec(BACKBONE, Transform(), "float16", "fp32", "1" * 64)
IMPORTED = dataclasses.replace(EXTRACTED, transform=None, numerics=None)
TOKENS = dataclasses.replace(
    EXTRACTED, backbone=dataclasses.replace(BACKBONE, pooling="tokens", dim=98_304, n_tokens=256)
)


def test_digests_of_stored_features_never_change() -> None:
    assert EXTRACTED.digest == "fc323670d3f9894cf1bf671aa566deb8fdd0ceff296da195a840402af6f53e40"


def test_all_kinds_survive_json() -> None:
    for spec in (EXTRACTED, IMPORTED, TOKENS):
        assert FeatureSpec.from_json(spec.to_json()) == spec
    assert EXTRACTED.digest != IMPORTED.digest


def test_what_weights_were_learned_from_is_no_part_of_the_identity() -> None:
    told = dataclasses.replace(
        EXTRACTED, backbone=dataclasses.replace(BACKBONE, pretrained_on=("imagenet",))
    )
    assert told.digest == EXTRACTED.digest
    assert FeatureSpec.from_json(told.to_json()) == told
    assert "pretrained_on" not in EXTRACTED.to_json()["backbone"]


def test_only_tokens_are_counted() -> None:
    assert TOKENS.to_json()["backbone"]["n_tokens"] == 256
    assert "n_tokens" not in EXTRACTED.to_json()["backbone"]
    halved = dataclasses.replace(TOKENS.backbone, n_tokens=128)
    assert dataclasses.replace(TOKENS, backbone=halved).digest != TOKENS.digest


def test_differences_name_what_only_one_of_them_has() -> None:
    lines = EXTRACTED.differences(IMPORTED)
    assert "numerics: fp32 | None" in lines
    assert "transform.size: 224 | –" in lines
    assert "transform: – | None" in lines
    assert EXTRACTED.differences(EXTRACTED) == []
