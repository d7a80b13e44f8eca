"""Decoders: the image formats that Pillow was built with, tried out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from featstore.errors import FeatstoreError
from featstore.images import decode
from featstore.installation.check import Check

_SECONDS = 0.2
#: Format -> feature of Pillow, and whether featstore is of little use without it.
_FORMATS = {
    "JPEG": ("jpg", True),
    "PNG": ("zlib", True),
    "WEBP": ("webp", False),
    "TIFF": ("libtiff", False),
    "AVIF": ("avif", False),
}
#: Grey levels by which a smooth picture may differ after lossy compression.
_LOSS = 8


def check_decoders() -> Iterator[Check]:
    """Encode and decode a smooth picture in every format, and time JPEG.

    Examples
    --------
    >>> [check.state for check in check_decoders() if check.subject == "PNG"]
    ['ok']
    """
    for name, (feature, needed) in _FORMATS.items():
        if not features.check(feature):
            yield Check(
                "decoders",
                name,
                "problem" if needed else "note",
                "Pillow was built without it",
                "pip install --force-reinstall --only-binary :all: pillow"
                + ("" if needed else f", if your images are {name}"),
            )
        elif (difference := _round_trip(name)) > _LOSS:
            yield Check(
                "decoders",
                name,
                "problem",
                f"decoded pixels differ by up to {difference} levels from what was encoded",
                "pip install --force-reinstall --only-binary :all: pillow",
            )
        elif name == "JPEG":
            yield _check_jpeg()
        else:
            version = features.version(feature)
            yield Check("decoders", name, "ok", f"{feature} {version}" if version else "built in")


def _check_jpeg() -> Check:
    rate = f"{_rate():.0f} photos of 500 × 375 a second on one core"
    if not features.check("libjpeg_turbo"):
        return Check(
            "decoders",
            "JPEG",
            "note",
            f"libjpeg without turbo: {rate}",
            "pip install --force-reinstall --only-binary :all: pillow: its wheels bring "
            "libjpeg-turbo, which decodes faster",
        )
    return Check(
        "decoders", "JPEG", "ok", f"libjpeg-turbo {features.version('libjpeg_turbo')}: {rate}"
    )


def _picture(height: int, width: int) -> NDArray[np.uint8]:
    ramps = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 120, width))
    return np.repeat(ramps[..., None], 3, axis=2).astype(np.uint8)


def _round_trip(name: str) -> int:
    """Return the largest difference between a picture and what comes back; 255 for an error."""
    picture = _picture(64, 64)
    try:
        again = np.asarray(decode(_encode(picture, name)))
    except (OSError, ValueError, FeatstoreError):
        return 255
    return int(np.abs(again.astype(int) - picture).max())


def _encode(picture: NDArray[np.uint8], name: str) -> bytes:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, name, quality=95)
    return buffer.getvalue()


def _rate() -> float:
    """Decode a noisy photo again and again; images for each second of processor time."""
    rng = np.random.default_rng(0)
    noise = rng.integers(-20, 20, (375, 500, 3))
    encoded = _encode(np.clip(_picture(375, 500) + noise, 0, 255).astype(np.uint8), "JPEG")
    start, n = time.process_time(), 0
    while (spent := time.process_time() - start) < _SECONDS:
        decode(encoded)
        n += 1
    return n / spent
