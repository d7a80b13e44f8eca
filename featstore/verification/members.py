"""Members: what subsets, runs and taxonomies mean, beyond being the bytes that were written."""

from __future__ import annotations

from featstore.samples import Samples
from featstore.store import FeatureStore
from featstore.stored_subset import is_genuine
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


def subset_problem(store: FeatureStore, name: str, samples: Samples | None) -> str | None:
    """Say what is wrong with a stored subset; None if nothing is, or nobody can know."""
    if samples is None:
        return None
    try:
        subset = store.subset(name)
    except UNREADABLE as error:
        return f"cannot be read: {error}"
    if not is_genuine(subset, samples):
        return "has another digest than its recipe, seed and rows"
    return None


def taxonomy_problem(store: FeatureStore, name: str) -> str | None:
    """Say what is wrong with a stored taxonomy; None if nothing is."""
    try:
        store.taxonomy(name)
    except UNREADABLE as error:
        return f"cannot be read: {error}"
    return None
