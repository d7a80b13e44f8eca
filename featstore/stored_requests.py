"""What stored runs were asked for, read without their scores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from featstore.store import FeatureStore


def run_fields(store: FeatureStore) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the names of the stored runs and what their metadata hold; pass damaged ones over."""
    for name in store.runs:
        try:
            metadata = json.loads(store.folder.read(f"runs/{name}/zarr.json"))
            fields = metadata["attributes"]["run"]
            if isinstance(fields["config"], dict):
                yield name, fields
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            continue


def stored_requests(store: FeatureStore) -> dict[str, str]:
    """Names of the stored runs by their request, see `featstore.run.ProbeRun.request`."""
    asked = ((fields.get("request", ""), name) for name, fields in run_fields(store))
    return {request: name for request, name in asked if request}
