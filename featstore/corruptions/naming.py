"""Names of corruptions: what people type, and the suffixes of features."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from featstore.corruptions.common import KINDS, SEVERITIES, CommonCorruption
from featstore.corruptions.corruption import Corruption
from featstore.corruptions.downsample import Downsample
from featstore.corruptions.jpeg import Jpeg
from featstore.corruptions.resize import Resize
from featstore.corruptions.salt_and_pepper import SaltAndPepper
from featstore.errors import InvalidInputError
from featstore.suggest import did_you_mean

PAPER: tuple[Corruption, ...] = (
    Resize(),
    Downsample(2),
    Downsample(4),
    Jpeg(),
    SaltAndPepper(),
)
"""Those of Cole et al. 2022 (Fig. 4, appendix C.5)."""

COMMON: tuple[Corruption, ...] = tuple(
    CommonCorruption(kind, severity) for kind in KINDS for severity in SEVERITIES
)
"""Those of Hendrycks & Dietterich (2019): 15 kinds in 5 severities."""

_SEED = r"(?:-seed(?P<seed>\d+))?"
_FORMS: tuple[tuple[Callable[..., Corruption], re.Pattern[str]], ...] = (
    (Resize, re.compile(r"resize(?P<short>\d+)?")),
    (Downsample, re.compile(r"downsample(?P<factor>\d+)(?:-short(?P<short>\d+))?")),
    (Jpeg, re.compile(r"jpeg(?P<quality>\d+)?")),
    (SaltAndPepper, re.compile(rf"salt-pepper(?P<p>\d*\.?\d+(?:e-?\d+)?)?{_SEED}")),
    (CommonCorruption, re.compile(rf"(?P<kind>[a-z_]+)-(?P<severity>\d+){_SEED}")),
)
_TYPES: dict[str, Callable[[str], Any]] = {"p": float, "kind": str}


def parse_corruption(text: str) -> Corruption:
    """Return the corruption that a text names; its `label` is the text written out.

    Parameters
    ----------
    text
        ``resize256``, ``downsample2``, ``jpeg10``, ``salt-pepper0.01``, ``gaussian_noise-3``; the
        numbers of the first, third and fourth may be left out.  ``-short128`` behind a
        ``downsample``, ``-seed1`` behind what is random.

    Raises
    ------
    InvalidInputError
        If it names none.

    Examples
    --------
    >>> parse_corruption("jpeg10"), parse_corruption("salt-pepper-seed1").label
    (Jpeg(quality=10), 'salt-pepper0.01-seed1')
    """
    for make, form in _FORMS:
        if found := form.fullmatch(text.strip()):
            given = {key: value for key, value in found.groupdict().items() if value is not None}
            return make(**{key: _TYPES.get(key, int)(value) for key, value in given.items()})
    known = [one.label for one in PAPER + COMMON]
    raise InvalidInputError(f"there is no corruption {text!r}. {did_you_mean(text, known)}")


def parse_corruptions(texts: Sequence[str]) -> list[Corruption | None]:
    """Return the corruptions that texts name, each once; None stands for clean images.

    Parameters
    ----------
    texts
        Each as for `parse_corruption`, or ``clean``, or a set: ``paper``, ``common``, or
        ``common-3`` for one severity.

    Raises
    ------
    InvalidInputError
        If one names none.

    Examples
    --------
    >>> [one and one.label for one in parse_corruptions(["clean", "paper", "jpeg10"])]
    [None, 'resize256', 'downsample2', 'downsample4', 'jpeg10', 'salt-pepper0.01']
    """
    sets: dict[str, Sequence[Corruption | None]] = {
        "clean": (None,),
        "paper": PAPER,
        "common": COMMON,
        **{
            f"common-{severity}": [CommonCorruption(kind, severity) for kind in KINDS]
            for severity in SEVERITIES
        },
    }
    named = [one for text in texts for one in sets.get(text, ()) or [parse_corruption(text)]]
    return list(dict.fromkeys(named))
