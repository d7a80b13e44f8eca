"""One small store's whole life, to be disturbed at any point, and what has to hold after that."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from faulty_os import Killed
from kill_writers import tree_digest
from numpy.typing import NDArray
from small_run import make_run
from small_store import fill, make_samples, make_spec

from featstore.errors import FeatstoreError, NotSealedError
from featstore.store import FeatureStore
from featstore.taxonomy import Taxonomy

ROWS, DIM = 600, 8
#: Names that nothing but a writer at work may leave.
TEMPORARY = re.compile(r"\.(partial|staged|claim)(/|$)|(^|/)_commits(/|$)")


@cache
def values() -> NDArray[np.float32]:
    """Return what the features hold, shape (ROWS, DIM)."""
    return np.random.default_rng(3).standard_normal((ROWS, DIM)).astype(np.float32)


def taxonomy(species: str) -> Taxonomy:
    """Return two classes and one group above them."""
    return Taxonomy.from_frame(pd.DataFrame({"species": ["a", species], "genus": ["g", "g"]}))


def prepare(path: Path, *, promise: Callable[[str], object] = str) -> FeatureStore:
    """Create a store with what a life replaces and removes: a feature, a run and a taxonomy."""
    store = FeatureStore.create(path, make_samples(ROWS))
    promise("created")
    fill(store, "old", values())
    promise("old sealed")
    store.save_run(make_run("r", seed=1))
    promise("run 1")
    store.save_taxonomy("t", taxonomy("b"))
    promise("taxonomy b")
    return store


def grow(
    store: FeatureStore,
    *,
    wait: bool = True,
    shards: Collection[int] | None = None,
    promise: Callable[[str], object] = str,
) -> None:
    """Write a feature from where it stands, and seal it; or write only some shards."""
    writer = store.writer("x", make_spec(store.samples, dim=DIM))
    try:
        for shard in writer.pending() if shards is None else shards:
            rows = writer.layout.shard_range(shard)
            bad = {7: "torn"} if shard == 0 else None
            writer.put(shard, values()[rows.start : rows.stop], excluded=bad, wait=wait)
            if wait:
                promise(f"put {shard}")
        if shards is None:
            writer.seal()
            promise("x sealed")
    finally:
        # A dead process has no threads either.
        with suppress(FeatstoreError, Killed):
            writer.release()


def live(store: FeatureStore, *, wait: bool = True, promise: Callable[[str], object] = str) -> None:
    """Grow a feature, open it again, replace a run and a taxonomy, remove the old feature.

    Parameters
    ----------
    wait
        Whether shards are committed one by one.
    promise
        Called with what the store has just promised to keep.
    """
    grow(store, wait=wait, promise=promise)
    grow(store)
    store.save_run(make_run("r", seed=2))
    promise("run 2")
    store.save_taxonomy("t", taxonomy("c"))
    promise("taxonomy c")
    if "old" in store.features:
        store.delete_feature("old")
    promise("old removed")


def check_readers(path: Path) -> None:
    """Nobody sees anything unfinished, whatever the moment."""
    store = FeatureStore.open(path)
    expected = values().astype(np.float16)
    for name in store.features:
        seen = zarr.open_array(store.path / "features" / name, mode="r")
        if not store.feature(name).sealed:
            assert seen.shape == (0, DIM)
            try:
                store.view(name)
            except NotSealedError:
                continue
            raise AssertionError("an unsealed feature could be viewed")
        kept = store.view(name).rows
        np.testing.assert_array_equal(kept, [i for i in range(ROWS) if name == "old" or i != 7])
        np.testing.assert_array_equal(store.view(name).array(), expected[kept])
        np.testing.assert_array_equal(np.asarray(seen[:])[kept], expected[kept])
    if "r" in store.runs:
        scores = store.run("r").predictions.scores
        drawn = [make_run("r", seed=seed).predictions.scores for seed in (1, 2)]
        assert any(np.array_equal(scores, one) for one in drawn)
    if "t" in store.taxonomies:
        stored = store.taxonomy("t").to_json()
        assert stored in [taxonomy(species).to_json() for species in "bc"]


def check_promises(path: Path, promises: Collection[str]) -> None:
    """What the store has promised is so, whatever happened since."""
    store = FeatureStore.open(path)
    assert "old sealed" not in promises or "old" in store.features or "x sealed" in promises
    if "run 1" in promises:
        scores = store.run("r").predictions.scores
        newest = make_run("r", seed=2).predictions.scores
        assert "run 2" not in promises or np.array_equal(scores, newest)
    if "taxonomy b" in promises:
        kept = store.taxonomy("t").to_json()
        assert "taxonomy c" not in promises or kept == taxonomy("c").to_json()
    if "x sealed" in promises:
        assert store.feature("x").sealed
    if "old removed" in promises:
        assert "old" not in store.features
    done = {int(text.removeprefix("put ")) for text in promises if text.startswith("put ")}
    if done:
        pending = store.writer("x", make_spec(store.samples, dim=DIM)).pending()
        assert done.isdisjoint(pending)


def check_end(path: Path, wanted: dict[str, str]) -> None:
    """The store is, bit for bit, one that nobody disturbed, and nothing temporary is left."""
    assert not leftovers(path)
    got = tree_digest(path)
    assert got == wanted, sorted(set(got.items()) ^ set(wanted.items()))


def leftovers(path: Path) -> list[str]:
    """Return the temporary files and folders in and beside a store."""
    names = (entry.relative_to(path.parent).as_posix() for entry in path.parent.rglob("*"))
    return [name for name in names if TEMPORARY.search(name)]
