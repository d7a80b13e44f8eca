"""Corruptions: artifacts put into images on purpose, the same for an image every time.

Each is a frozen dataclass: `apply` takes a decoded image and its id.  What is random depends on the
seed and the id alone, not on the order of the images, so that a corruption is realised once for
each image (Cole et al. 2022, section 4.3), whoever computes it, wherever.
"""

from __future__ import annotations

from featstore.corruptions.common import KINDS, CommonCorruption, check_packages
from featstore.corruptions.corruption import Corruption
from featstore.corruptions.document import corruption_from_json, corruption_to_json
from featstore.corruptions.downsample import Downsample
from featstore.corruptions.jpeg import Jpeg
from featstore.corruptions.naming import COMMON, PAPER, parse_corruption, parse_corruptions
from featstore.corruptions.resize import Resize
from featstore.corruptions.salt_and_pepper import SaltAndPepper

__all__ = [
    "COMMON",
    "KINDS",
    "PAPER",
    "CommonCorruption",
    "Corruption",
    "Downsample",
    "Jpeg",
    "Resize",
    "SaltAndPepper",
    "check_packages",
    "corruption_from_json",
    "corruption_to_json",
    "parse_corruption",
    "parse_corruptions",
]
