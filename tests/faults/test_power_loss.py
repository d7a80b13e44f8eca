"""Power cuts at any moment: nothing promised is lost, and everything else can be resumed."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from unittest import mock

import pytest
from disk_calls import DiskCalls
from kill_writers import tree_digest
from power_loss import PowerCut, PowerTrace, Promise
from store_life import check_end, check_promises, check_readers, grow, live, prepare

from featstore.store import FeatureStore

#: Where featstore flushes, as functions, innermost first.
FLUSHES = [
    "durable.flush < local_folder.write < local_folder.start",
    "durable.flush < local_folder.write < writer.seal",
    "durable.flush < local_folder.create",
    "durable.flush < local_claims.flush < local_folder.create < commits",
    "flush_names < local_folder.write < writer.seal",
    "flush_names < grouped_flush._flush_waiting",
    "flush_tree < local_folder.filled",
    "flush_folder < durable.flush_tree < local_folder.filled",
    "flush_folder < durable.make_folder",
    "scratch_folder.appear < local_folder.start",
    "scratch_folder.appear < local_folder.filled < store.create",
    "scratch_folder.appear < local_folder.filled < store.save_run",
    "scratch_folder.change_places",
    "local_folder.remove < store.delete_feature",
]
#: Needed for what another process left without flushing it.
JOINING_FLUSHES = [
    "flush_names < commits.flush < writer.seal",
    "flush_folder < local_folder.start",
]


class Life:
    """A recorded life of a store, from its creation in folders that did not exist.

    Parameters
    ----------
    root
        An empty folder.
    wait
        Whether shards are committed one by one.
    joining
        Whether the feature was begun by another process, which died before it flushed a name.
    """

    def __init__(self, root: Path, *, wait: bool = True, joining: bool = False) -> None:
        self._root = root
        self._n_copies = 0
        (root / "life").mkdir()
        self.trace = PowerTrace(root / "life")
        path = self._path(root / "life")
        with self.trace.active():
            store = prepare(path, promise=self.trace.promise)
            if joining:
                with (
                    mock.patch("featstore.local_folder.flush_folder"),
                    mock.patch("featstore.scratch_folder.flush_folder"),
                ):
                    grow(store, shards=[1])
            live(store, wait=wait, promise=self.trace.promise)
        self.wanted = tree_digest(path)

    @staticmethod
    def _path(root: Path) -> Path:
        return root / "a" / "b" / "s.zarr"

    def cut(self, after: int, seed: int, *, n_random: int, ignoring: str | None = None) -> None:
        """Cut the power after some events; check what is promised, and that work can go on."""
        cut = PowerCut(self.trace, after, ignoring=ignoring)
        for medium in cut.states(random.Random(seed), n_random):
            self._n_copies += 1
            root = self._root / str(self._n_copies)
            cut.write(medium, root)
            path = self._path(root)
            with DiskCalls(root).active():
                if (path / "zarr.json").exists():
                    check_readers(path)
                    check_promises(path, cut.promises)
                    store = FeatureStore.open(path)
                else:
                    assert "created" not in cut.promises
                    store = prepare(path)
                live(store)
                check_end(path, self.wanted)
            shutil.rmtree(root)


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Life]:
    @cache
    def life(**options: bool) -> Life:
        return Life(tmp_path_factory.mktemp("life"), **options)

    return life


VARIANTS = [{"wait": True}, {"wait": False}, {"joining": True}]


@pytest.mark.parametrize("options", VARIANTS)
def test_a_power_cut(lives: Callable[..., Life], options: dict[str, bool]) -> None:
    life = lives(**options)
    chosen = random.Random(repr(options)).sample(range(len(life.trace.events)), 5)
    for after in sorted(chosen):
        life.cut(after, seed=after, n_random=1)


def test_a_power_cut_just_after_a_promise(lives: Callable[..., Life]) -> None:
    life = lives(joining=True)
    for i, event in enumerate(life.trace.events):
        if isinstance(event, Promise):
            life.cut(i + 1, seed=i, n_random=0)


@pytest.mark.slow
@pytest.mark.parametrize("options", VARIANTS)
def test_a_power_cut_at_every_moment(lives: Callable[..., Life], options: dict[str, bool]) -> None:
    life = lives(**options)
    for after in range(len(life.trace.events) + 1):
        life.cut(after, seed=after, n_random=3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("site", "joining"),
    [(site, False) for site in FLUSHES] + [(site, True) for site in JOINING_FLUSHES],
)
def test_every_flush_is_needed(lives: Callable[..., Life], site: str, joining: bool) -> None:
    """Without any one of the flushes, some power cut does harm."""
    life = lives(joining=joining)
    asked = [i for i, event in enumerate(life.trace.events) if site in getattr(event, "site", "")]
    assert asked, f"nothing flushes at {site!r} any more"
    for after in range(asked[0], len(life.trace.events) + 1):
        try:
            life.cut(after, seed=after, n_random=8, ignoring=site)
        except Exception:  # noqa: BLE001 - any harm will do
            return
    pytest.fail(f"no power cut needs the flush at {site!r}")
