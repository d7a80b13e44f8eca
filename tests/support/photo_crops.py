"""Real photos for machines without the clothing set: crops of those that packages carry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_images


def write_crops(root: Path, count: int) -> None:
    """Write `count` JPEGs of odd sizes as ``root/{train,test}/photo/*.jpg``."""
    china, flower = load_sample_images().images
    photos = {
        "astronaut": data.astronaut(),
        "cat": data.chelsea(),
        "china": china,
        "coffee": data.coffee(),
        "flower": flower,
    }
    rng = np.random.default_rng(0)
    names = sorted(photos)
    for i in range(count):
        photo = photos[names[i % len(names)]]
        height, width = rng.integers(120, 220, 2)
        top, left = (
            rng.integers(0, edge - size)
            for edge, size in zip(photo.shape[:2], (height, width), strict=True)
        )
        split = "test" if i % 4 == 0 else "train"
        path = root / split / names[i % len(names)] / f"{i:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo[top : top + height, left : left + width]).save(path, quality=95)
