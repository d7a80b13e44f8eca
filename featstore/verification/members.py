"""Members: what runs and taxonomies mean, beyond being the bytes that were written."""

from __future__ import annotations

from featstore.samples import Samples
from featstore.store import FeatureStore
from featstore.verification.finding import UNREADABLE


def run_problem(store: FeatureStore, name: str, samples: Samples | None) -> str | None:
    """Say what is wrong with a stored run; None if nothing is."""
    try:
        run = store.run(name)
    except UNREADABLE as error:
        return f"cannot be read: {error}"
    if run.name != name:
        return f"is the run {run.name!r}: folders have changed places, or were renamed"
    if samples is not None:
        unknown = set(run.predictions.ids.tolist()) - set(samples.ids.tolist())
        if unknown:
            return f"was evaluated on {len(unknown)} rows that the store does not have"
    return None


def taxonomy_problem(store: FeatureStore, name: str) -> str | None:
    """Say what is wrong with a stored taxonomy; None if nothing is."""
    try:
        store.taxonomy(name)
    except UNREADABLE as error:
        return f"cannot be read: {error}"
    return None
