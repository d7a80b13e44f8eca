"""Transform: how an image becomes the square of pixels that a backbone sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]


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
    """

    geometry: Literal["resize-crop", "crop-resize", "squash"] = "resize-crop"
    size: int = 224
    resize: int | None = 256
    crop_fraction: float | None = None
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
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
