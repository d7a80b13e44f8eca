"""Settings: how a backbone is to be run, and the transform that follows from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

from featstore.backbones.source import Source
from featstore.cores import available_cores
from featstore.errors import InvalidInputError
from featstore.spec import Numerics
from featstore.transform import Decode, Interpolation, Transform, paper

TransformChoice = Literal["own", "paper"]

TRANSFORM_OPTIONS = ("size", "resize", "interp", "mean", "std")


@dataclass(frozen=True)
class Settings:
    """What the caller of `load_encoder` chose; see there."""

    device: str = "auto"
    numerics: Numerics = "fp32"
    transform: TransformChoice = "own"
    threads: int | None = None
    micro_batch: int | None = None
    decode: Decode = "exact"

    def __post_init__(self) -> None:
        for what, value, choices in (
            ("numerics", self.numerics, get_args(Numerics)),
            ("transform", self.transform, get_args(TransformChoice)),
            ("decode", self.decode, get_args(Decode)),
        ):
            if value not in choices:
                raise InvalidInputError(f"{what} {value!r} is not one of {', '.join(choices)}")
        for what, number in (("threads", self.threads), ("micro_batch", self.micro_batch)):
            if number is not None and number < 1:
                raise InvalidInputError(f"{what} must be at least 1, got {number}")

    def threads_on(self, device: str) -> int:
        """Micro-batches to compute at a time: all cores of a CPU, one stream of anything else."""
        if device != "cpu":
            return 1
        return self.threads or available_cores()

    def transform_for(self, source: Source, own: Transform) -> Transform:
        """Change a backbone's own transform as the source's options and the settings ask.

        ``size=N`` scales the short side with it, unless ``resize=N`` says otherwise;
        ``interp=``, ``mean=r,g,b`` and ``std=r,g,b`` replace the backbone's.

        Raises
        ------
        InvalidInputError
            If an option cannot be read.
        """
        size = source.integer("size", default=own.size, minimum=1)
        resize = own.resize
        if resize is not None:
            scaled = round(resize * size / own.size)
            resize = source.integer("resize", default=scaled, minimum=1)
        elif "resize" in source.options:
            raise InvalidInputError(
                f"backbone {source.text!r}: its geometry is {own.geometry!r}, which has no resize"
            )
        own = replace(
            own,
            size=size,
            resize=resize,
            interpolation=cast(Interpolation, source.options.get("interp", own.interpolation)),
            mean=_triple(source, "mean", own.mean),
            std=_triple(source, "std", own.std),
            decode=self.decode,
        )
        return paper(own) if self.transform == "paper" else own


def _triple(
    source: Source, key: str, default: tuple[float, float, float]
) -> tuple[float, float, float]:
    text = source.options.get(key)
    if text is None:
        return default
    numbers = re.split(r"\s*,\s*", text.strip())
    try:
        red, green, blue = map(float, numbers * 3 if len(numbers) == 1 else numbers)
    except ValueError:
        raise InvalidInputError(
            f"backbone {source.text!r}: {key} must be one number or three, as {key}=0.5,0.5,0.5; "
            f"got {text!r}"
        ) from None
    return red, green, blue
