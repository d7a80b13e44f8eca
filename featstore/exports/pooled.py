"""export_pool: images of several stores in one list."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from featstore.exports.manifest import Entry, subset_entries, write_entries
from featstore.id_order import id_hashes, sort_keys
from featstore.pooled_set import Pool


def export_pool(
    pool: Pool,
    out: str | Path,
    *,
    target: str | None = None,
    roots: Mapping[str, str | Path] | None = None,
) -> int:
    """Write down which images a pool has, shuffled together.

    An id is ``birds/train/wren/1.jpg`` and a label ``birds:wren``, with the store's name in front:
    equal names in two stores need not mean the same.

    Parameters
    ----------
    pool
        Of `featstore.pool`.
    out
        As for `featstore.exports.manifest.export_subset`.
    target
        The label column, of every store; the first of each by default.
    roots
        Folders of the images by store; where they were extracted from by default.

    Returns
    -------
    n
        Images written.

    Raises
    ------
    FeatureNotFoundError
        If a store has no such target.
    InvalidInputError
        If `out` can hold no such list, or links would lead nowhere.
    StorageError
        If the disk refuses.
    """
    entries: list[Entry] = []
    classes: list[str] = []
    multi = False
    for name, store in pool.stores.items():
        root = (roots or {}).get(name)
        for entry in subset_entries(store, pool.parts[name], target=target, root=root):
            labels = tuple(f"{name}:{label}" for label in entry.labels)
            entries.append(dataclasses.replace(entry, id=f"{name}/{entry.id}", labels=labels))
        if store.samples.targets:
            known = store.target(target)[1]
            classes += [f"{name}:{label}" for label in known.classes]
            multi = multi or known.kind == "multi"
    order = sort_keys(id_hashes(entry.id for entry in entries), pool.seed, "pool").argsort()
    write_entries([entries[i] for i in order], Path(out), classes=classes, multi=multi)
    return len(entries)
