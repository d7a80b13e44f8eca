"""verify: every promise that a store makes, checked against its bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import crc32c

from featstore.commits import Commit, read_manifest
from featstore.errors import FeatstoreError
from featstore.feature import FeatureInfo
from featstore.presence import shard_problem
from featstore.samples import UNLABELLED, Target
from featstore.shards import shard_name
from featstore.store import FeatureStore


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was committed.

    Attributes
    ----------
    place
        File, or feature, that it is about.
    problem
        What is wrong with it.
    """

    place: str
    problem: str


def verify(store: FeatureStore) -> list[Finding]:
    """Check samples, labels, and every byte of every sealed feature.

    Parameters
    ----------
    store
        The store; it is only read.

    Returns
    -------
    findings
        Empty if all is well.  A feature that is not sealed is no finding: it cannot be read.
    """
    findings = list(_check_samples(store))
    for name in store.features:
        try:
            info = store.feature(name)
            if info.sealed:
                findings += _check_feature(store, info)
        except (FeatstoreError, ValueError, KeyError) as error:
            findings.append(Finding(f"features/{name}", str(error)))
    for name in store.runs:
        try:
            store.run(name)
        except (FeatstoreError, ValueError, KeyError, OSError) as error:
            findings.append(Finding(f"runs/{name}", f"cannot be read: {error}"))
    return findings


def _check_samples(store: FeatureStore) -> Iterator[Finding]:
    try:
        samples = store.samples
    except (FeatstoreError, ValueError, KeyError, OSError) as error:
        yield Finding("samples", str(error))
        return
    group = json.loads(store.folder.read("samples/zarr.json"))
    if samples.labels_digest != group["attributes"].get("labels_digest"):
        yield Finding("samples", "splits or labels are not the ones that were written")
    for name, target in samples.targets.items():
        outside = _codes_outside(target)
        if outside:
            yield Finding(
                f"samples/targets/{name}",
                f"{outside} labels are outside of its {len(target.classes)} classes",
            )


def _codes_outside(target: Target) -> int:
    if target.kind == "multi":
        return abs(int(target.codes.shape[1]) - len(target.classes))
    codes = target.codes
    return int(((codes < UNLABELLED) | (codes >= len(target.classes))).sum())


def _check_feature(store: FeatureStore, info: FeatureInfo) -> Iterator[Finding]:
    folder = store.feature_folder(info.name)
    attributes = json.loads(folder.read("zarr.json"))["attributes"]["featstore"]
    if info.spec.digest != attributes["spec_digest"]:
        yield Finding(f"features/{info.name}/zarr.json", "the spec was edited: digest mismatch")
    if info.spec.samples_digest != store.samples.digest:
        yield Finding(f"features/{info.name}", "was computed for other samples than the store's")
    commits = read_manifest(folder, attributes["manifest_digest"])
    covered = [row for commit in commits for row in (commit.start, commit.start + commit.rows)]
    expected = [
        row
        for shard in range(info.layout.n_shards)
        for row in (info.layout.shard_range(shard).start, info.layout.shard_range(shard).stop)
    ]
    if covered != expected:
        yield Finding(f"features/{info.name}/manifest.json", "rows are not covered exactly once")
        return
    for commit in commits:
        problem = _check_shard(commit, info)
        if problem:
            yield Finding(f"features/{info.name}/c/{commit.shard}/0", problem)


def _check_shard(commit: Commit, info: FeatureInfo) -> str | None:
    problem = shard_problem(info.folder, info.layout, commit.shard)
    if problem:
        return problem
    data = memoryview(info.folder.read(shard_name(commit.shard)))[: -info.layout.index_bytes]
    chunk_bytes = len(data) // len(commit.crc32c)
    bad = [
        i
        for i, promised in enumerate(commit.crc32c)
        if crc32c.crc32c(data[i * chunk_bytes : (i + 1) * chunk_bytes]) != promised
    ]
    if bad:
        first = commit.start + bad[0] * info.layout.chunk_rows
        return (
            f"{len(bad)} of {len(commit.crc32c)} chunks have another checksum than committed, "
            f"the first from row {first} on"
        )
    return None
