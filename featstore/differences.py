"""diff: what two stores, or two features, do not have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from featstore.errors import FeatstoreError, InvalidInputError
from featstore.feature_difference import Alignment, FeatureDifference, feature_difference
from featstore.progress import progress_bar
from featstore.run import ProbeRun
from featstore.samples import Samples
from featstore.store import FeatureStore


@dataclass(frozen=True)
class MemberDifference:
    """A subset, a run or a taxonomy that two stores have, and that is not the same in both.

    Attributes
    ----------
    place
        Where it is in both stores, e.g. ``"runs/dinov2"``.
    lines
        What differs, ``"field: a | b"``.
    """

    place: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class StoreDifference:
    """What two stores do not have in common.

    Attributes
    ----------
    samples
        Differences of ids, content, splits and labels.
    only_a, only_b
        Features, subsets, runs and taxonomies that only one has, e.g. ``"features/dinov2"``.
    features
        Comparison of every feature that both have, or of the two that were asked for.
    members
        Subsets, runs and taxonomies that differ.
    """

    samples: tuple[str, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    features: tuple[FeatureDifference, ...]
    members: tuple[MemberDifference, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        rest = (*self.samples, *self.only_a, *self.only_b, *self.members)
        return not rest and all(feature.equal for feature in self.features)


def diff(
    a: FeatureStore,
    b: FeatureStore | None = None,
    *,
    feature: str | None = None,
    other: str | None = None,
    tolerance: float = 0.0,
    progress: bool | None = None,
) -> StoreDifference:
    """Compare two stores, or two features.

    Where two features have the same rows in the same shards, equal checksums answer for equal
    values (`verify` compares checksums with bytes); otherwise values are compared, sample by
    sample, in whatever order the stores have them.

    Parameters
    ----------
    a, b
        The stores; without `b`, two features of `a` are compared.
    feature
        Compare this feature only.
    other
        With this one, of `b` if that is given; by default the one of the same name.
    tolerance
        Relative difference up to which a row counts as equal: its largest difference, divided by
        its largest magnitude.  Extraction on another machine agrees to about 1e-5.
    progress
        Show a progress bar; None shows it on a terminal.

    Raises
    ------
    InvalidInputError
        If it is not clear what to compare.
    FeatureNotFoundError
        If a store has no feature of a name that was given.
    CorruptStoreError
        If something cannot be read.
    """
    if (b is None and (feature is None or other is None)) or (other and feature is None):
        raise InvalidInputError(
            "name two stores to compare, or two features of one: --feature A --with B"
        )
    if tolerance < 0:
        raise InvalidInputError(f"a tolerance is 0 or more, got {tolerance}")
    second = a if b is None else b
    if feature is not None:
        pairs = [(feature, other or feature)]
    else:
        pairs = [(name, name) for name in a.features if name in second.features]
    rows = Alignment.of(a.samples, second.samples)
    with progress_bar("diff", len(pairs) * len(rows.a), unit="rows", shown=progress) as advance:
        features = [
            feature_difference(
                (a, mine), (second, theirs), rows, tolerance=tolerance, advance=advance
            )
            for mine, theirs in pairs
        ]
    whole = feature is None
    return StoreDifference(
        samples=tuple(_sample_lines(a.samples, second.samples)),
        only_a=tuple(_only(a, second)) if whole else (),
        only_b=tuple(_only(second, a)) if whole else (),
        features=tuple(features),
        members=tuple(_members(a, second)) if whole else (),
    )


def _sample_lines(a: Samples, b: Samples) -> list[str]:
    lines = a.differences(b)
    if (a.marks is None) != (b.marks is None):
        lines.append(f"file sizes are known only in the {'first' if b.marks is None else 'second'}")
    return lines


def _only(a: FeatureStore, b: FeatureStore) -> Iterator[str]:
    for kind, mine, theirs in (
        ("features", a.features, b.features),
        ("subsets", a.subsets, b.subsets),
        ("runs", a.runs, b.runs),
        ("taxonomies", a.taxonomies, b.taxonomies),
    ):
        for name in mine:
            if name not in theirs:
                yield f"{kind}/{name}"


def _members(a: FeatureStore, b: FeatureStore) -> Iterator[MemberDifference]:
    for name in a.runs:
        if name in b.runs:
            lines = _run_lines(a, b, name)
            if lines:
                yield MemberDifference(f"runs/{name}", tuple(lines))
    for name in a.subsets:
        if name in b.subsets and a.subset(name).digest != b.subset(name).digest:
            yield MemberDifference(f"subsets/{name}", ("another recipe, seed or other rows",))
    for name in a.taxonomies:
        if name in b.taxonomies and a.taxonomy(name) != b.taxonomy(name):
            yield MemberDifference(f"taxonomies/{name}", ("other classes, levels or parents",))


def _run_lines(a: FeatureStore, b: FeatureStore, name: str) -> Sequence[str]:
    runs = []
    for store in (a, b):
        try:
            runs.append(store.run(name))
        except FeatstoreError as error:
            return [f"cannot be read in {store.location}: {error}"]
    mine, theirs = map(_fields, runs)
    return [
        f"{key}: {mine.get(key, '–')} | {theirs.get(key, '–')}"
        for key in dict.fromkeys([*mine, *theirs])
        if mine.get(key) != theirs.get(key)
    ]


def _fields(run: ProbeRun) -> dict[str, object]:
    """Return what tells runs apart: how they were made, and what came out."""
    made = dataclasses.asdict(run.config)
    # They change with the samples, and the features are compared on their own.
    del made["spec_digests"]
    # As text, where NaN equals NaN.
    metrics = {metric: f"{value:.6g}" for metric, value in run.metrics[["metric", "value"]].values}
    return {**made, **metrics}
