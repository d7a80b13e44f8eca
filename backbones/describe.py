"""Describe: what a checkpoint holds, without extracting anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from featstore.backbones.source import parse_source
from featstore.errors import InvalidInputError, WeightsError
from featstore.optional import import_optional

if TYPE_CHECKING:
    from featstore.backbones.match import CheckpointMatch


def describe(source: str) -> CheckpointMatch:
    """Recognise a checkpoint, load it into its network and report what matched.

    Parameters
    ----------
    source
        ``checkpoint:FILE``, with options as `featstore.backbones.load_encoder` takes them.

    Raises
    ------
    InvalidInputError
        If the source is no checkpoint.
    WeightsError
        If the file is not there, cannot be read safely, or does not match.
    """
    parsed = parse_source(source)
    if parsed.kind != "checkpoint" or not parsed.is_file:
        raise InvalidInputError(f"{source!r} is no checkpoint: give checkpoint:FILE")
    if not Path(parsed.model).is_file():
        raise WeightsError(f"backbone {source!r}: there is no file {parsed.model!r}")
    checkpoint = import_optional("featstore.backbones.checkpoint", extra="timm")
    match: CheckpointMatch = checkpoint.open_checkpoint(parsed)[1]
    return match
