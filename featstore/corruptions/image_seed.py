"""A seed for each image, from its id."""

from __future__ import annotations

import hashlib


def image_seed(name: str, seed: int, identity: str) -> int:
    """Return 128 bits that depend on a corruption's name, its seed and the image's id alone.

    Examples
    --------
    >>> image_seed("salt-pepper", 0, "a.jpg") == image_seed("salt-pepper", 0, "a.jpg")
    True
    >>> image_seed("salt-pepper", 0, "a.jpg") == image_seed("salt-pepper", 1, "a.jpg")
    False
    """
    content = f"{name}\0{seed}\0{identity}".encode()
    return int.from_bytes(hashlib.sha256(content).digest()[:16])
