"""Metadata: a feature's ``zarr.json`` and manifest, taken at their word only where they agree."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from featstore.commits import (
    MANIFEST,
    Commit,
    content_digest,
    encode_json,
    manifest_digest,
)
from featstore.folder import Folder
from featstore.shards import ShardLayout
from featstore.spec import FeatureSpec
from featstore.verification.finding import UNREADABLE, is_damage, unreadable

METADATA = "zarr.json"
#: Attributes before each file had a digest of itself.
_OLDER_ATTRIBUTES = {"spec", "spec_digest", "sealed", "manifest_digest"}
_OLDER_MANIFEST = {"spec_digest", "shards"}


class DamageError(Exception):
    """A file of a feature cannot be trusted.

    Attributes
    ----------
    place
        Its name in the feature's folder.
    problem
        What is wrong with it.
    advice
        What to do, where that is not to make the feature again.
    refused
        Whether we only may not or cannot see it.
    """

    def __init__(
        self,
        place: str,
        problem: str,
        *,
        advice: tuple[str, ...] | None = None,
        refused: bool = False,
    ) -> None:
        super().__init__(place, problem)
        self.place = place
        self.problem = problem
        self.advice = advice
        self.refused = refused


@dataclass(frozen=True)
class Metadata:
    """What a feature's ``zarr.json`` says.

    Attributes
    ----------
    content
        Its bytes.
    attributes
        What featstore says in it.
    spec, layout
        What the feature is and how its bytes lie.
    """

    content: bytes
    attributes: dict[str, Any]
    spec: FeatureSpec
    layout: ShardLayout

    @property
    def sealed(self) -> bool:
        """Whether the feature is complete."""
        return bool(self.attributes["sealed"])

    @classmethod
    def read(cls, folder: Folder, n_samples: int | None) -> Metadata:
        """Read and check a feature's ``zarr.json``.

        Parameters
        ----------
        folder
            The feature's folder.
        n_samples
            Rows of the store; None where nobody knows.

        Raises
        ------
        DamageError
            If it is not as featstore writes it, or cannot be read.
        """
        content = _read(folder, METADATA)
        if content is None:
            raise DamageError(
                METADATA,
                "is missing, and other files of the feature are not",
                advice=("repeat the command that made it: it starts over",),
            )
        try:
            return cls._parse(content, n_samples, folder.name)
        except UNREADABLE as error:
            raise DamageError(
                METADATA, f"is not what featstore writes ({_short(error)})"
            ) from error

    @classmethod
    def _parse(cls, content: bytes, n_samples: int | None, name: str) -> Metadata:
        metadata = json.loads(content)
        attributes = metadata["attributes"]["featstore"]
        if encode_json(metadata) != content:
            raise DamageError(METADATA, "was edited: it is not written as featstore writes it")
        digest = attributes.pop("digest", None)
        if digest is None and set(attributes) - _OLDER_ATTRIBUTES:
            raise DamageError(METADATA, "was edited: it has lost the digest of itself")
        if digest is not None and digest != content_digest(metadata):
            raise DamageError(METADATA, "was edited: it has another digest than it says")
        spec = FeatureSpec.from_json(attributes["spec"])
        if spec.digest != attributes["spec_digest"]:
            raise DamageError(METADATA, "the spec was edited: it has another digest than it says")
        shown, sealed = metadata["shape"][0], attributes["sealed"]
        rows = shown if n_samples is None else n_samples
        if shown != (rows if sealed else 0):
            raise DamageError(METADATA, f"shows {shown} of {rows} rows, and sealed is {sealed}")
        layout = ShardLayout.from_metadata(metadata, rows)
        if (
            layout is None
            or layout.metadata(shown, metadata["attributes"]) != metadata
            or layout.shard_rows % layout.chunk_rows
            or (layout.dim, layout.dtype) != (spec.backbone.dim, spec.dtype)
        ):
            raise DamageError(METADATA, "describes a layout that featstore never writes")
        if attributes.get("name", name) != name:
            raise DamageError(
                METADATA,
                f"is that of the feature {attributes['name']!r}: folders have changed places, or "
                "were renamed",
                advice=("give the folders their names back",),
            )
        return cls(content, attributes, spec, layout)

    def commits(self, folder: Folder) -> list[Commit]:
        """Read and check the manifest of a sealed feature.

        Raises
        ------
        DamageError
            If it is not the one that the feature was sealed with, does not fit, or cannot be read.
        """
        content = _read(folder, MANIFEST)
        if content is None:
            raise DamageError(MANIFEST, "is missing")
        try:
            fields = json.loads(content)
            digest = fields.pop("digest", None)
            whole = digest == content_digest(fields) if digest else set(fields) == _OLDER_MANIFEST
            if not whole:
                raise DamageError(MANIFEST, "was edited: it has another digest than it says")
            if manifest_digest(content) != self.attributes["manifest_digest"]:
                raise DamageError(MANIFEST, "is not the manifest that the feature was sealed with")
            if fields["spec_digest"] != self.spec.digest or (
                digest and fields["spec_sha256"] != content_digest(self.attributes["spec"])
            ):
                raise DamageError(METADATA, "has another spec than the manifest")
            commits = [Commit.from_json(commit) for commit in fields["shards"]]
            self._check_cover(commits)
        except UNREADABLE as error:
            raise DamageError(
                MANIFEST, f"is not what featstore writes ({_short(error)})"
            ) from error
        return commits

    def _check_cover(self, commits: list[Commit]) -> None:
        n_shards = self.layout.n_shards
        listed = [commit.shard for commit in commits]
        if listed != list(range(len(commits))) or len(commits) != n_shards:
            raise DamageError(
                MANIFEST,
                f"does not cover the rows exactly once: it lists {len(commits)} shards, "
                f"{len(set(listed) & set(range(n_shards)))} of {n_shards}, in this order: "
                f"{_abridged(listed)}",
            )
        for commit in commits:
            problem = self.misfit(commit)
            if problem:
                raise DamageError(MANIFEST, f"shard {commit.shard} {problem}")

    def misfit(self, commit: Commit) -> str | None:
        """Say how a commit contradicts the layout or the spec; None if it does not."""
        layout = self.layout
        if not 0 <= commit.shard < layout.n_shards:
            return f"is none of the {layout.n_shards} shards"
        rows = layout.shard_range(commit.shard)
        if (commit.start, commit.start + commit.rows) != (rows.start, rows.stop):
            return (
                f"covers rows {commit.start} to {commit.start + commit.rows} instead of "
                f"{rows.start} to {rows.stop}: rows are not covered exactly once"
            )
        n_chunks = layout.data_bytes(commit.shard) // (layout.chunk_rows * layout.row_bytes)
        if commit.nbytes != layout.file_bytes(commit.shard) or len(commit.crc32c) != n_chunks:
            return "was committed with another layout"
        if commit.spec_digest != self.spec.digest:
            return "was computed with another spec"
        if any(row not in rows for row in commit.excluded):
            return "excludes rows that are not its own"
        return None


def _read(folder: Folder, name: str) -> bytes | None:
    try:
        return folder.read(name)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamageError(name, unreadable(error), refused=not is_damage(error)) from error


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


def _abridged(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:8]))
    return shown + (", …" if len(numbers) > 8 else "")
