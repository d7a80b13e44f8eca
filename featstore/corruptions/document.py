"""Corruptions as JSON: in the spec of a feature, and beside a corrupted copy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from featstore.corruptions.common import CommonCorruption
from featstore.corruptions.corruption import Corruption
from featstore.corruptions.downsample import Downsample
from featstore.corruptions.jpeg import Jpeg
from featstore.corruptions.resize import Resize
from featstore.corruptions.salt_and_pepper import SaltAndPepper
from featstore.errors import InvalidInputError

_KINDS: dict[str, Callable[..., Corruption]] = {
    kind.name: kind for kind in (Resize, Downsample, Jpeg, SaltAndPepper, CommonCorruption)
}


def corruption_to_json(corruption: Corruption) -> dict[str, Any]:
    """Return the name and every parameter.

    Examples
    --------
    >>> corruption_to_json(Jpeg(10))
    {'name': 'jpeg', 'quality': 10}
    """
    return {"name": corruption.name, **dataclasses.asdict(corruption)}  # type: ignore[call-overload]


def corruption_from_json(fields: Mapping[str, Any]) -> Corruption:
    """Rebuild a corruption that `corruption_to_json` wrote.

    Raises
    ------
    InvalidInputError
        If there is no corruption of this name, or it has other parameters.

    Examples
    --------
    >>> corruption_from_json({"name": "jpeg", "quality": 10})
    Jpeg(quality=10)
    """
    parameters = {key: value for key, value in fields.items() if key != "name"}
    try:
        return _KINDS[fields["name"]](**parameters)
    except (KeyError, TypeError):
        raise InvalidInputError(
            f"this version of featstore knows no corruption {dict(fields)}; upgrade it"
        ) from None
