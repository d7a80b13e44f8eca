"""Agreement: what several stores have in common — features made in the same way."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from featstore.errors import (
    CorruptStoreError,
    InvalidInputError,
    NotSealedError,
    SpecMismatchError,
)
from featstore.feature import FeatureInfo
from featstore.samples import Samples
from featstore.spec import FeatureSpec, digest
from featstore.store import FeatureStore


@dataclass(frozen=True)
class Agreement:
    """A feature that several stores have.

    Attributes
    ----------
    spec
        How it was made, on the rows of all stores together.
    parts
        The feature as it stands in each store, in order.
    notes
        What cannot be known about it.
    """

    spec: FeatureSpec
    parts: tuple[FeatureInfo, ...]
    notes: tuple[str, ...]


def shared_features(
    stores: Mapping[str, FeatureStore], wanted: Sequence[str] | None, *, common: bool
) -> list[str]:
    """Return the names of the features to merge: those that all stores have, or the wanted ones.

    Parameters
    ----------
    stores
        By the name that messages give them.
    wanted
        These features; None for all.
    common
        Whether features that only some of the stores have are left out.

    Raises
    ------
    InvalidInputError
        If a feature is in only some of the stores, there is none at all, or `wanted` is empty.
    """
    if wanted is not None:
        if not wanted:
            raise InvalidInputError("the list of features is empty; name some, or none for all")
        # Not looked up in lists of members: what a web server offers cannot be listed.
        return list(dict.fromkeys(wanted))
    members = {place: store.features for place, store in stores.items()}
    every = dict.fromkeys(name for names in members.values() for name in names)
    found = [name for name in every if all(name in names for names in members.values())]
    partial = [name for name in every if name not in found]
    if partial and not common:
        lacking = [place for place, names in members.items() if partial[0] not in names]
        raise InvalidInputError(
            f"{len(partial)} features are in only some of the stores: {', '.join(partial)} "
            f"({partial[0]} is not in {', '.join(lacking)}); choose with --features, or leave such "
            "features out with --common"
        )
    if not found:
        raise InvalidInputError(
            f"{', '.join(stores)} have no feature in common; name those that all have"
        )
    return found


def agreement(name: str, stores: Mapping[str, FeatureStore], samples: Samples) -> Agreement:
    """Find the spec that a feature has in all stores.

    Parameters
    ----------
    name
        Of the feature.
    stores
        By the name that messages give them.
    samples
        The rows of all stores.

    Raises
    ------
    FeatureNotFoundError
        If a store lacks the feature.
    NotSealedError
        If a store's feature is not finished.
    CorruptStoreError
        If one was computed for other rows than its store has.
    SpecMismatchError
        If two were made in different ways.
    """
    parts = {place: _whole(name, place, store) for place, store in stores.items()}
    specs = {
        place: dataclasses.replace(info.spec, samples_digest=samples.digest)
        for place, info in parts.items()
    }
    notes = []
    if all(spec.transform is None for spec in specs.values()):
        specs = _with_one_checksum(specs)
        notes.append(
            f"feature {name!r} was imported: that all of it was made in the same way is what you "
            "say, not what featstore knows"
        )
    first, *others = specs
    for place in others:
        if specs[place].digest != specs[first].digest:
            lines = "\n  ".join(specs[first].differences(specs[place]))
            raise SpecMismatchError(
                f"feature {name!r} was made in different ways ({first} | {place}):\n  {lines}\n"
                "Only features of one spec can be merged; choose others with --features."
            )
    return Agreement(specs[first], tuple(parts.values()), tuple(notes))


def _whole(name: str, place: str, store: FeatureStore) -> FeatureInfo:
    info = store.feature(name)
    if not info.sealed:
        raise NotSealedError(
            f"feature {name!r} of {place} is not finished: {info.committed_rows} of "
            f"{info.layout.rows} rows are committed; run the same `featstore extract` again to "
            "complete it, or leave it out with --features"
        )
    if info.spec.samples_digest != store.samples.digest:
        raise CorruptStoreError(
            f"feature {name!r} of {place} was computed for other rows than the store has; leave it "
            "out with --features, or remove it and extract it again"
        )
    return info


def _with_one_checksum(specs: Mapping[str, FeatureSpec]) -> dict[str, FeatureSpec]:
    """Give imported features one checksum for the checksums of all.

    Nobody knows their weights; what stands in their place are the checksums of the values.
    """
    values = [spec.backbone.weights_digest for spec in specs.values()]
    return {
        place: dataclasses.replace(
            spec,
            backbone=dataclasses.replace(
                spec.backbone, source="merge", weights="merged", weights_digest=digest(values)
            ),
        )
        for place, spec in specs.items()
    }
