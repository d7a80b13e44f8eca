"""merge: stores of the same features become one, row after row."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featstore.agreement import agreement, shared_features
from featstore.concatenation import concatenate
from featstore.errors import InvalidInputError, StorageError
from featstore.folder import Folder
from featstore.history import record
from featstore.location import open_folder
from featstore.progress import progress_bar
from featstore.samples import Samples
from featstore.stacked_rows import StackedRows
from featstore.store import FeatureStore
from featstore.writer import FeatureWriter

if TYPE_CHECKING:
    from featstore.taxonomy import Taxonomy

#: What the source of a merged store says it is.
_KIND = "merge"
#: Seconds between two looks at what another process, merging the same, is writing.
_POLL_S = 0.2


@dataclass(frozen=True)
class Merge:
    """What one call of `merge` did.

    Attributes
    ----------
    store
        The store, with all features sealed.
    merged, unchanged
        Names of the features that were copied or completed, and of those that were whole.
    notes
        What people should know: what was left out, and where labels are missing.
    """

    store: FeatureStore
    merged: tuple[str, ...]
    unchanged: tuple[str, ...]
    notes: tuple[str, ...]


def merge(
    stores: Sequence[str | Path | FeatureStore],
    out: str | Path,
    *,
    features: Sequence[str] | None = None,
    common: bool = False,
    targets: Sequence[str] | None = None,
    prefix: bool | Sequence[str] = False,
    progress: bool | None = None,
) -> Merge:
    """Copy the rows of several stores into a new one, in order.

    Values, excluded rows, splits and labels stay what they are; every chunk's checksum is compared
    on the way.  Calling it again with the same arguments does nothing; after an interruption it
    goes on where it stopped, and the store ends up the same, bit for bit.

    Parameters
    ----------
    stores
        Stores, paths or URLs.
    out
        The new store.
    features
        Names of the features to merge; all by default.
    common
        Leave out features that only some of the stores have, instead of an error.
    targets
        Label columns to merge; all by default, see `featstore.concatenation.concatenate`.
    prefix
        Put the stores' names, without ``.zarr``, in front of the ids; or these names.
    progress
        Show a progress bar; None shows it on a terminal.

    Raises
    ------
    InvalidInputError
        If ids occur in several stores, labels contradict each other, only some stores have a
        feature, or `out` is one of `stores` or was made otherwise.
    FeatureNotFoundError
        If a store lacks one of `features`, or all lack one of `targets`.
    NotSealedError
        If a feature is not finished.
    SpecMismatchError
        If a feature was made in different ways.
    CorruptStoreError
        If a store's bytes are not what was committed.
    StorageError
        If the disk refuses; what was committed is kept.
    """
    opened = [s if isinstance(s, FeatureStore) else FeatureStore.open(s) for s in stores]
    sources = {store.location: store for store in opened}
    _check_places(opened, open_folder(out))
    names = shared_features(sources, features, common=common)
    table = concatenate(
        {place: store.samples for place, store in sources.items()},
        prefixes=_prefixes(opened, prefix),
        targets=targets,
    )
    notes = list(table.notes)
    agreements = {name: agreement(name, sources, table.samples) for name in names}
    notes += [note for agreed in agreements.values() for note in agreed.notes]
    store = _open_or_create(out, table.samples, sources)
    notes += _merge_the_rest(store, sources)
    writers = {name: store.writer(name, agreed.spec) for name, agreed in agreements.items()}
    unfinished = {name: writer for name, writer in writers.items() if not writer.sealed}
    total = sum(
        len(writer.layout.shard_range(shard))
        for writer in unfinished.values()
        for shard in writer.pending()
    )
    with progress_bar("merge", total, unit="rows", shown=progress) as advance:
        for name, writer in unfinished.items():
            _fill(store, name, writer, StackedRows(agreements[name].parts), advance)
    if unfinished:
        record(store.folder, "merge", stores=list(sources), features=list(unfinished))
    return Merge(
        store=store,
        merged=tuple(unfinished),
        unchanged=tuple(name for name in names if name not in unfinished),
        notes=tuple(notes),
    )


def _fill(
    store: FeatureStore,
    name: str,
    writer: FeatureWriter,
    source: StackedRows,
    advance: Callable[[int], None],
) -> None:
    """Copy what the feature lacks; another process may be at the same."""
    layout, excluded = writer.layout, source.excluded
    block = np.empty((min(layout.shard_rows, layout.rows), layout.dim), layout.dtype)
    try:
        while pending := writer.pending():
            copied = 0
            for shard in pending:
                if not writer.claim(shard):
                    continue
                rows = layout.shard_range(shard)
                values = block[: len(rows)]
                source.read(rows.start, values)
                unreadable = {row: why for row, why in excluded.items() if row in rows}
                writer.put(shard, values, excluded=unreadable, wait=False)
                advance(len(rows))
                copied += 1
            if not copied:
                if store.feature(name).sealed:
                    return
                time.sleep(_POLL_S)
        writer.seal()
    finally:
        writer.release()


def _check_places(stores: Sequence[FeatureStore], out: Folder) -> None:
    if not stores:
        raise InvalidInputError("there is nothing to merge: name the stores")
    seen: dict[str, FeatureStore] = {}
    for store in stores:
        if _place(store.folder) in seen:
            raise InvalidInputError(f"{store.location} is given twice; name each store once")
        seen[_place(store.folder)] = store
    if _place(out) in seen:
        raise InvalidInputError(f"{out} is one of the stores to merge; choose another --out")


def _place(folder: Folder) -> str:
    """Return what two names of one place have in common."""
    return str(folder).rstrip("/") if folder.local is None else str(folder.local.resolve())


def _prefixes(stores: Sequence[FeatureStore], prefix: bool | Sequence[str]) -> list[str] | None:
    if prefix is False:
        return None
    if prefix is True:
        names = [store.folder.name.removesuffix(".zarr") for store in stores]
    else:
        names = list(prefix)
    if len(names) != len(stores) or len(set(names)) < len(names) or not all(names):
        raise InvalidInputError(
            f"{len(stores)} stores need as many different names in front of their ids, got "
            f"{', '.join(map(repr, names))}; give them with --prefix-names a,b,…"
        )
    if slashed := [name for name in names if "/" in name]:
        raise InvalidInputError(f"{slashed[0]!r} cannot stand in front of ids: no slash")
    return names


def _open_or_create(
    out: str | Path, samples: Samples, sources: Mapping[str, FeatureStore]
) -> FeatureStore:
    if open_folder(out).size("zarr.json") is None:
        return FeatureStore.create(out, samples, source=_description(sources))
    store = FeatureStore.open(out)
    if store.attributes["source"].get("kind") != _KIND:
        raise InvalidInputError(f"{out} exists, and merge did not make it; choose another --out")
    differences = store.samples.differences(samples)
    if differences:
        raise InvalidInputError(
            f"{out} was merged from other samples: {'; '.join(differences)}; choose another --out, "
            "or remove it"
        )
    return store


def _description(sources: Mapping[str, FeatureStore]) -> dict[str, Any]:
    """Where the rows come from, for people."""
    stores = {
        place: {"samples": store.n_samples, "source": store.attributes["source"]}
        for place, store in sources.items()
    }
    return {"kind": _KIND, "stores": stores}


def _merge_the_rest(store: FeatureStore, sources: Mapping[str, FeatureStore]) -> Iterator[str]:
    """Store the taxonomies on which the sources agree; say what is left out."""
    runs = subsets = 0
    found: dict[str, list[Taxonomy]] = {}
    for place, source in sources.items():
        try:
            runs += len(source.runs)
            subsets += len(source.subsets)
            for name in source.taxonomies:
                found.setdefault(name, []).append(source.taxonomy(name))
        except StorageError:  # a web server cannot be listed
            yield f"taxonomies of {place}, if it has any, are not merged: they cannot be listed"
    for name, versions in found.items():
        if any(version != versions[0] for version in versions):
            yield f"taxonomy {name!r} is not merged: the stores have different ones"
        elif name not in store.taxonomies:
            store.save_taxonomy(name, versions[0])
    if subsets:
        yield f"{subsets} subsets are not merged: draw them again from all rows"
    if runs:
        yield f"{runs} runs are not merged: each belongs to the rows of its own store"
