"""Seal: a feature's ``zarr.json``, which decides whether there is anything to see."""

from __future__ import annotations

from typing import Any

from featstore.commits import content_digest, encode_json, manifest_digest
from featstore.shards import ShardLayout
from featstore.spec import FeatureSpec


def encode_metadata(
    name: str, spec: FeatureSpec, layout: ShardLayout, *, manifest: bytes | None = None
) -> bytes:
    """Serialise a feature's ``zarr.json``.

    Parameters
    ----------
    name
        The feature's name: two that changed places must be noticed.
    spec, layout
        What it is and how its bytes lie.
    manifest
        Its manifest, if it is whole.  Without one no reader sees a row.
    """
    attributes: dict[str, Any] = {
        "name": name,
        "spec": spec.to_json(),
        "spec_digest": spec.digest,
        "sealed": manifest is not None,
    }
    if manifest is not None:
        attributes["manifest_digest"] = manifest_digest(manifest)
    rows = 0 if manifest is None else layout.rows
    metadata = layout.metadata(rows, {"featstore": attributes})
    attributes["digest"] = content_digest(metadata)
    return encode_json(metadata)
