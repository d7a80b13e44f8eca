"""Rows of a cross-domain table: features that are the same in every store, and their origins."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from featstore.errors import InvalidInputError, SpecMismatchError
from featstore.spec import FeatureSpec
from featstore.store import FeatureStore

Block = tuple[str, ...]
"""Features of a row, side by side."""


def row_name(block: Block) -> str:
    """Return the name of a row.

    Examples
    --------
    >>> row_name(("resnet50", "dinov2"))
    'resnet50 + dinov2'
    """
    return " + ".join(block)


def check_specs(stores: Mapping[str, FeatureStore], blocks: Sequence[Block]) -> list[str]:
    """Check that a name means one backbone in all stores; say where nobody can know."""
    notes = []
    for name in dict.fromkeys(name for block in blocks for name in block):
        specs = {
            label: _portable(store.feature(name).spec)
            for label, store in stores.items()
            if name in store.features
        }
        for label, spec in list(specs.items())[1:]:
            first = next(iter(specs))
            if spec.digest != specs[first].digest:
                lines = "\n  ".join(specs[first].differences(spec))
                raise SpecMismatchError(
                    f"feature {name!r} was made in different ways ({first} | {label}):\n  {lines}\n"
                    "One row of a table is one backbone; give them names of their own, or leave it "
                    "out with --features"
                )
        if len(specs) > 1 and any(spec.transform is None for spec in specs.values()):
            notes.append(
                f"feature {name!r} was imported: that it is the same in all stores is what you "
                "say, not what featstore knows"
            )
    return notes


def _portable(spec: FeatureSpec) -> FeatureSpec:
    """Return a spec without the rows it was computed on, to compare across stores."""
    backbone = spec.backbone
    if spec.transform is None:  # the checksum of imported values stands where that of weights does
        backbone = dataclasses.replace(backbone, source="", weights="", weights_digest="")
    return dataclasses.replace(spec, backbone=backbone, samples_digest="")


def origins_of(
    stores: Mapping[str, FeatureStore],
    blocks: Sequence[Block],
    given: Mapping[str, str | Sequence[str]],
) -> dict[Block, tuple[str, ...]]:
    """Name the data sets that each row was pretrained on, where somebody said."""
    names = {name for block in blocks for name in block}
    if unknown := [name for name in given if name not in names]:
        raise InvalidInputError(
            f"pretrained_on names {unknown[0]!r}, which is no row; rows: {', '.join(sorted(names))}"
        )
    origins: dict[str, tuple[str, ...]] = {}
    for name in names:
        told = given.get(name)
        if told is not None:
            origins[name] = (told,) if isinstance(told, str) else tuple(told)
            continue
        for store in stores.values():
            if name in store.features and (
                known := store.feature(name).spec.backbone.pretrained_on
            ):
                origins[name] = known
                break
    return {
        block: tuple(dict.fromkeys(o for name in block for o in origins[name]))
        for block in blocks
        if all(name in origins for name in block)
    }
