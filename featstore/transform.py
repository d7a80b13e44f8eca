"""Transform: how an image becomes the square of pixels that a backbone sees."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal, get_args

from featstore.errors import InvalidInputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Geometry = Literal["resize-crop", "crop-resize", "squash"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Decode = Literal["exact", "fast", "dct", "cuda"]


@dataclass(frozen=True)
class Transform:
    """Geometry and normalisation, with every parameter that changes a value.

    Attributes
    ----------
    geometry
        ``"resize-crop"``: the short side becomes `resize` pixels, then a centre crop of
        `size` (the evaluation transform of torchvision and timm).  ``"crop-resize"``: a square
        centre crop with edge `crop_fraction` of the short side, then a resize to `size`
        (Cole et al. 2022, appendix C.2).  ``"squash"``: resize to `size`, aspect ignored.
    size
        Edge of the square output in pixels.
    resize
        Short side after the resize, in pixels; only for ``"resize-crop"``.
    crop_fraction
        Edge of the crop relative to the short side; only for ``"crop-resize"``.
    interpolation
        Resampling filter of the resize; always antialiased, as Pillow's.
    mean, std
        Per-channel normalisation of pixels scaled to [0, 1].
    decode
        ``"exact"``: Pillow's pixels, bit for bit.  ``"fast"`` and ``"dct"``: see
        `featstore.fast_images`.  ``"cuda"``: see `featstore.device_images`.

    Raises
    ------
    InvalidInputError
        If a parameter is out of range or does not belong to the geometry.
    """

    geometry: Geometry = "resize-crop"
    size: int = 224
    resize: int | None = 256
    crop_fraction: float | None = None
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    decode: Decode = "exact"

    def __post_init__(self) -> None:
        if self.geometry not in get_args(Geometry):
            raise InvalidInputError(
                f"geometry {self.geometry!r} is not one of {', '.join(get_args(Geometry))}"
            )
        if self.interpolation not in get_args(Interpolation):
            raise InvalidInputError(
                f"interpolation {self.interpolation!r} is not one of "
                f"{', '.join(get_args(Interpolation))}"
            )
        if self.decode not in get_args(Decode):
            raise InvalidInputError(
                f"decode {self.decode!r} is not one of {', '.join(get_args(Decode))}"
            )
        if self.size < 1:
            raise InvalidInputError(f"transform size must be at least 1 pixel, got {self.size}")
        if (self.geometry == "resize-crop") != (self.resize is not None):
            raise InvalidInputError(
                f"geometry {self.geometry!r} with resize={self.resize}: "
                "a resize belongs to 'resize-crop' and to nothing else"
            )
        if (self.geometry == "crop-resize") != (self.crop_fraction is not None):
            raise InvalidInputError(
                f"geometry {self.geometry!r} with crop_fraction={self.crop_fraction}: "
                "a crop fraction belongs to 'crop-resize' and to nothing else"
            )
        if self.resize is not None and self.resize < 1:
            raise InvalidInputError(f"resize must be at least 1 pixel, got {self.resize}")
        if self.crop_fraction is not None and not 0 < self.crop_fraction <= 1:
            raise InvalidInputError(f"crop_fraction must be in (0, 1], got {self.crop_fraction}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != 3 or not all(map(math.isfinite, values)):
                raise InvalidInputError(f"{name} needs 3 finite numbers, got {values}")
        if min(self.std) <= 0:
            raise InvalidInputError(f"std must be positive, got {self.std}")


PAPER = Transform(geometry="crop-resize", resize=None, crop_fraction=0.875)
"""Cole et al. 2022, appendix C.2: a centre crop with edge 87.5 % of the short side, to 224.

The paper does not name its interpolation; bilinear is ours.
"""


def paper(transform: Transform) -> Transform:
    """Give a backbone's transform the paper's geometry.

    Crop and interpolation come from `PAPER`; input size, mean and standard deviation stay the
    backbone's, because its weights were trained with them.

    Examples
    --------
    >>> own = Transform(size=384, resize=384, interpolation="bicubic", mean=(0.5, 0.5, 0.5))
    >>> paper(own).geometry, paper(own).size, paper(own).mean
    ('crop-resize', 384, (0.5, 0.5, 0.5))
    """
    return dataclasses.replace(
        PAPER,
        size=transform.size,
        mean=transform.mean,
        std=transform.std,
        decode=transform.decode,
    )
