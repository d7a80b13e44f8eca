"""Table: what the samples mean, beyond being the bytes that were written."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from featstore.folder import Folder
from featstore.samples import UNLABELLED, Samples, Target
from featstore.verification.finding import UNREADABLE


def read_samples(store: Folder) -> tuple[Samples | None, list[tuple[str, str]]]:
    """Read the row table and say what is wrong with it.

    Returns
    -------
    samples
        None if they cannot be read.
    problems
        Pairs of place and problem.
    """
    import zarr

    try:
        group = zarr.open_group(store.child("samples").zarr(), mode="r")
        samples = Samples.read(group)
        return samples, list(_problems(samples, dict(group.attrs)))
    except UNREADABLE as error:
        return None, [("samples", str(error) or type(error).__name__)]


def _problems(samples: Samples, attributes: dict[str, object]) -> Iterator[tuple[str, str]]:
    if attributes.get("n_samples") != len(samples):
        yield "samples", f"has {len(samples)} rows and says {attributes.get('n_samples')}"
    if attributes.get("labels_digest") != samples.labels_digest:
        yield "samples", "splits or labels are not the ones that were written"
    for name, target in samples.targets.items():
        place = f"samples/targets/{name}"
        outside = _codes_outside(target)
        if outside:
            yield place, f"{outside} labels are outside of its {len(target.classes)} classes"
        repeated = len(target.classes) - len(set(target.classes))
        if repeated:
            yield place, f"{repeated} of its {len(target.classes)} classes are listed twice"


def _codes_outside(target: Target) -> int:
    codes, n_classes = target.codes, len(target.classes)
    if target.kind == "multi":
        # NumPy believes that a bool is 0 or 1; on disk it is a byte.
        wrong = np.count_nonzero(codes.view(np.uint8) > 1)
        return int(wrong) or abs(int(codes.shape[1]) - n_classes)
    return int(((codes < UNLABELLED) | (codes >= n_classes)).sum())
