"""Transforms: what they accept, and the paper's preset."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from featstore.errors import InvalidInputError
from featstore.transform import IMAGENET_MEAN, IMAGENET_STD, PAPER, Transform, paper


def test_paper_is_appendix_c2() -> None:
    assert (PAPER.geometry, PAPER.crop_fraction, PAPER.size) == ("crop-resize", 0.875, 224)
    assert (PAPER.mean, PAPER.std) == (IMAGENET_MEAN, IMAGENET_STD)


def test_paper_keeps_size_and_normalisation() -> None:
    own = Transform(size=96, resize=110, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    assert paper(own) == replace(PAPER, size=96, mean=own.mean, std=own.std)
    assert paper(paper(own)) == paper(own)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 0}, "at least 1 pixel, got 0"),
        ({"resize": 0}, "resize must be at least 1 pixel, got 0"),
        ({"resize": None}, "resize=None"),
        ({"crop_fraction": 0.5}, "crop_fraction=0.5"),
        ({"geometry": "squash"}, "resize=256"),
        ({"geometry": "zoom"}, "'zoom' is not one of resize-crop, crop-resize, squash"),
        ({"interpolation": "box"}, "'box' is not one of nearest"),
        ({"geometry": "crop-resize", "resize": None, "crop_fraction": 1.5}, "got 1.5"),
        ({"mean": (0.5, 0.5)}, "mean needs 3 finite numbers"),
        ({"mean": (0.5, 0.5, float("nan"))}, "mean needs 3 finite numbers"),
        ({"std": (0.5, 0.0, 0.5)}, "std must be positive"),
    ],
)
def test_impossible_transforms_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Transform(**changes)
