"""At every call of one process, another does something whole: who wins, and what both are told.

Two writers in one process are two processes to the file system: their locks are as apart as
their descriptors.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import zarr
from click.testing import CliRunner
from faulty_os import Killed
from interruption import Interruption
from kill_writers import tree_digest
from small_run import make_run
from small_store import make_samples, make_spec
from store_life import DIM, ROWS, TEMPORARY, check_readers, leftovers, prepare, values

from featstore.cli.main import group
from featstore.commits import CommitLog
from featstore.errors import (
    FeatstoreError,
    FeatureNotFoundError,
    InvalidInputError,
    NotAStoreError,
    NotSealedError,
    SpecMismatchError,
    StorageError,
)
from featstore.store import FeatureStore
from featstore.verification import verify
from featstore.writer import FeatureWriter

SAMPLES = make_samples(ROWS)
Outcome = FeatstoreError | None


class Rivals:
    """Two processes on one prepared store; the values of the second are twice the first's."""

    def __init__(self, prepared: Path, root: Path, stride: int) -> None:
        self._prepared = prepared
        self._root = root
        self._stride = stride
        self.path = root / "s.zarr"

    @property
    def store(self) -> FeatureStore:
        """The store, opened anew."""
        return FeatureStore.open(self.path)

    @property
    def feature(self) -> Path:
        """Folder of the feature both are after."""
        return self.path / "features" / "x"

    def begin(self) -> None:
        """Put the store back to what it was prepared to be."""
        shutil.rmtree(self._root, ignore_errors=True)
        shutil.copytree(self._prepared, self._root)

    def writer(self, *, weights: str = "0") -> FeatureWriter:
        """Open the feature for writing."""
        return self.store.writer("x", make_spec(SAMPLES, dim=DIM, weights=weights))

    def interrupt_every_call(
        self,
        work: Callable[[], object],
        happens: Callable[[], object],
        check: Callable[[Outcome], object],
        *,
        begin: Callable[[], object] = lambda: None,
        every: int = 1,
        each: bool = False,
    ) -> Counter[str]:
        """Do `work` again and again, with `happens` before another one of its calls.

        Parameters
        ----------
        work, happens
            What is interrupted, and by what.
        check
            Called with what `work` was told; nothing may be amiss by now.
        begin
            What comes before.
        every
            Interrupt every so manieth call only, where there are hundreds of a kind.
        each
            Interrupt each and every one: there are few, and all are different.

        Returns
        -------
        outcomes
            How often `work` ended with which error; "ok" for none.
        """
        outcomes: Counter[str] = Counter()
        step = 1 if each or self._stride == 1 else self._stride * every
        at = 1 + step // 2
        while True:
            self.begin()
            begin()
            interruption = Interruption(self._root, happens, at=at)
            outcome: Outcome = None
            with interruption.active():
                try:
                    work()
                except FeatstoreError as error:
                    outcome = error.with_traceback(None)
            if interruption.interrupted is None:
                return outcomes
            outcomes["ok" if outcome is None else type(outcome).__name__] += 1
            check(outcome)
            at += step

    def snapshot(self) -> dict[str, str]:
        """Digest of every file of the feature that is to last."""
        return {
            name: digest
            for name, digest in tree_digest(self.feature).items()
            if not TEMPORARY.search(name)
        }

    def check_sealed(self) -> None:
        """Every shard comes wholly from one of the two, and has the checksum it was given."""
        store = self.store
        X = store.view("x").array()
        layout = store.feature("x").layout
        for shard in range(layout.n_shards):
            rows = slice(shard * layout.shard_rows, (shard + 1) * layout.shard_rows)
            expected = [(scale * values()[rows]).astype(np.float16) for scale in (1, 2)]
            assert any(np.array_equal(X[rows], one) for one in expected)
        assert not verify(store)

    def check_tidy(self) -> None:
        """Whoever comes next finds nothing temporary, or removes it."""
        if self.feature.exists():
            spec = self.store.feature("x").spec
            self.store.writer("x", spec)
        self.store.folder.sweep()
        assert not leftovers(self.path)


def fill(writer: FeatureWriter, scale: float) -> None:
    """Write what is missing of a feature, and seal it."""
    for shard in writer.pending():
        rows = writer.layout.shard_range(shard)
        writer.put(shard, scale * values()[rows.start : rows.stop])
    writer.seal()


@pytest.fixture(params=[4, pytest.param(1, marks=pytest.mark.slow)])
def rivals(request: pytest.FixtureRequest, tmp_path: Path) -> Rivals:
    prepare(tmp_path / "prepared" / "s.zarr")
    return Rivals(tmp_path / "prepared", tmp_path / "at_work", request.param)


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("happening", ["open", "remove"])
def test_opened_or_removed_while_it_is_opened(rivals: Rivals, happening: str, is_new: bool) -> None:
    writers: list[FeatureWriter] = []

    def begin() -> None:
        if not is_new:
            rivals.writer()

    def happens() -> None:
        if happening == "open":
            writers.append(rivals.writer())
        elif rivals.feature.exists():
            rivals.store.delete_feature("x")

    def check(outcome: Outcome) -> None:
        assert outcome is None, outcome
        writers.clear()
        rivals.writer()
        rivals.check_tidy()

    rivals.interrupt_every_call(
        lambda: writers.append(rivals.writer()), happens, check, begin=begin, each=True
    )


def test_decided_and_killed_while_another_recovers(rivals: Rivals) -> None:
    def happens() -> None:
        with (
            mock.patch.object(CommitLog, "_finish", side_effect=Killed),
            pytest.raises(Killed),
        ):
            rivals.writer().put(0, values()[:256])

    def check(outcome: Outcome) -> None:
        assert outcome is None
        assert rivals.writer().pending() == [1]
        assert not list(rivals.feature.glob("_commits/*.staged"))

    def begin() -> None:
        rivals.writer().put(2, values()[512:])

    rivals.interrupt_every_call(rivals.writer, happens, check, begin=begin, each=True)


def test_computed_anew_while_another_recovers(rivals: Rivals) -> None:
    def begin() -> None:
        rivals.writer().put(0, values()[:256])
        done.append(False)
        # As after a power cut: it was decided, but the bytes are gone.
        (rivals.feature / "c" / "0" / "0").unlink()

    def check(outcome: Outcome) -> None:
        assert outcome is None
        fill(rivals.writer(), 1)
        rivals.check_sealed()
        first = rivals.store.view("x").array()[:256]
        if done[-1]:
            np.testing.assert_array_equal(first, (2 * values()[:256]).astype(np.float16))

    def happens() -> None:
        # The one that is interrupted may have the right to drop markers: then this one gives up.
        with suppress(StorageError), mock.patch("featstore.commits._PATIENCE", 1):
            rivals.writer().put(0, 2 * values()[:256])
            done[-1] = True

    done: list[bool] = []
    rivals.interrupt_every_call(rivals.writer, happens, check, begin=begin, each=True)
    assert sum(done) > 10


def test_stock_readers_while_a_feature_is_removed(
    rivals: Rivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove_values_first(folder: Path) -> None:
        shutil.rmtree(folder / "c")
        shutil.rmtree(folder)

    monkeypatch.setattr("featstore.local_folder.remove_tree", remove_values_first)

    def read() -> None:
        # Whatever its name is by now: what looks like an array is whole.
        for metadata in (rivals.path / "features").glob("*/zarr.json"):
            seen = zarr.open_array(metadata.parent, mode="r")
            np.testing.assert_array_equal(seen[:], values().astype(np.float16))

    rivals.interrupt_every_call(
        lambda: rivals.store.delete_feature("old"), read, lambda outcome: None, each=True
    )


def test_a_shard_is_put_while_the_feature_is_removed(rivals: Rivals) -> None:
    late: list[FeatureWriter] = []

    def happens() -> None:
        with suppress(StorageError):
            late[-1].put(1, values()[256:512])

    def check(outcome: Outcome) -> None:
        assert outcome is None, outcome
        assert not rivals.feature.exists()
        late.clear()
        rivals.check_tidy()

    def begin() -> None:
        late.append(rivals.writer())
        late[-1].put(0, values()[:256])

    rivals.interrupt_every_call(
        lambda: rivals.store.delete_feature("x"), happens, check, begin=begin, each=True
    )


def test_sealed_while_a_shard_is_put(rivals: Rivals) -> None:
    late: list[FeatureWriter] = []
    sealed: list[dict[str, str]] = []

    def happens() -> None:
        fill(rivals.writer(), 2)
        sealed.append(rivals.snapshot())

    def check(outcome: Outcome) -> None:
        assert outcome is None or isinstance(outcome, InvalidInputError), outcome
        late.clear()
        assert rivals.snapshot() == sealed[-1]
        rivals.check_sealed()
        rivals.check_tidy()

    outcomes = rivals.interrupt_every_call(
        lambda: late[0].put(0, values()[:256]),
        happens,
        check,
        begin=lambda: late.append(rivals.writer()),
    )
    assert outcomes["ok"] > 3


def test_removed_while_a_shard_is_put(rivals: Rivals) -> None:
    late: list[FeatureWriter] = []

    def check(outcome: Outcome) -> None:
        if outcome is not None:
            assert isinstance(outcome, StorageError)
            assert "was removed by another process" in str(outcome)
        late.clear()
        assert not rivals.feature.exists()
        rivals.check_tidy()

    outcomes = rivals.interrupt_every_call(
        lambda: late[0].put(0, values()[:256]),
        lambda: rivals.store.delete_feature("x"),
        check,
        begin=lambda: late.append(rivals.writer()),
    )
    assert outcomes["StorageError"] > 3


def test_removed_and_begun_anew_while_a_shard_is_put(rivals: Rivals) -> None:
    writers: list[FeatureWriter] = []

    def happens() -> None:
        rivals.store.delete_feature("x")
        writers.append(rivals.writer())
        writers[1].put(0, 2 * values()[:256])

    def check(outcome: Outcome) -> None:
        assert outcome is None or "was removed by another process" in str(outcome)
        fill(writers[1], 2)
        writers.clear()
        np.testing.assert_array_equal(
            rivals.store.view("x").array(), (2 * values()).astype(np.float16)
        )
        rivals.check_sealed()

    rivals.interrupt_every_call(
        lambda: writers[0].put(0, values()[:256]),
        happens,
        check,
        begin=lambda: writers.append(rivals.writer()),
    )


@pytest.mark.parametrize("remove", [True, False])
def test_sealed_or_removed_while_sealing(rivals: Rivals, remove: bool) -> None:
    late: list[FeatureWriter] = []

    def begin() -> None:
        late.append(rivals.writer())
        for shard in range(3):
            rows = late[0].layout.shard_range(shard)
            late[0].put(shard, values()[rows.start : rows.stop])

    def happens() -> None:
        if remove:
            rivals.store.delete_feature("x")
        else:
            rivals.writer().seal()

    def check(outcome: Outcome) -> None:
        late.clear()
        if remove:
            assert outcome is None or "was removed by another process" in str(outcome)
            assert not rivals.feature.exists()
        else:
            assert outcome is None
            rivals.check_sealed()
        rivals.check_tidy()

    rivals.interrupt_every_call(lambda: late[0].seal(), happens, check, begin=begin, every=3)


def test_a_whole_feature_written_while_another_writes_it(rivals: Rivals) -> None:
    def check(outcome: Outcome) -> None:
        assert outcome is None or isinstance(outcome, InvalidInputError), outcome
        rivals.check_sealed()
        rivals.check_tidy()

    rivals.interrupt_every_call(
        lambda: fill(rivals.writer(), 1), lambda: fill(rivals.writer(), 2), check, every=5
    )


def test_two_specs_under_one_name(rivals: Rivals) -> None:
    told: list[Outcome] = []

    def happens() -> None:
        try:
            fill(rivals.writer(weights="1"), 2)
            told.append(None)
        except SpecMismatchError as error:
            told.append(error.with_traceback(None))

    def check(outcome: Outcome) -> None:
        # Exactly one of the two has it.
        assert isinstance(outcome, SpecMismatchError) != isinstance(told[-1], SpecMismatchError)
        assert outcome is None or told[-1] is None
        rivals.check_sealed()
        rivals.check_tidy()

    outcomes = rivals.interrupt_every_call(
        lambda: fill(rivals.writer(), 1), happens, check, every=3
    )
    assert set(outcomes) == {"ok", "SpecMismatchError"}


@pytest.mark.parametrize("other", ["saved", "removed"])
def test_runs_of_one_name(rivals: Rivals, other: str) -> None:
    def happens() -> None:
        if other == "saved":
            rivals.store.save_run(make_run("r", seed=1))
        else:
            rivals.store.delete_run("r")

    def check(outcome: Outcome) -> None:
        assert outcome is None
        check_readers(rivals.path)
        assert other == "removed" or rivals.store.runs == ["r"]
        rivals.check_tidy()

    rivals.interrupt_every_call(
        lambda: rivals.store.save_run(make_run("r", seed=2)), happens, check, every=7
    )


def test_a_run_is_never_absent_while_it_is_replaced(rivals: Rivals) -> None:
    seen: list[float] = []

    def read() -> None:
        scores = rivals.store.run("r").predictions.scores
        seen.append(float(scores[0, 0]))

    rivals.interrupt_every_call(
        lambda: rivals.store.save_run(make_run("r", seed=2)),
        read,
        lambda outcome: None,
        every=3,
    )
    wanted = {float(make_run("r", seed=s).predictions.scores[0, 0]) for s in (1, 2)}
    assert set(seen) == wanted


def test_a_store_created_twice(rivals: Rivals) -> None:
    place = rivals.path.parent / "new.zarr"

    def check(outcome: Outcome) -> None:
        assert outcome is None or isinstance(outcome, NotAStoreError)
        assert len(FeatureStore.open(place).samples) == 20
        assert not leftovers(place)

    outcomes = rivals.interrupt_every_call(
        lambda: FeatureStore.create(place, make_samples(20)),
        lambda: FeatureStore.create(place, make_samples(20)),
        check,
        every=11,
    )
    assert outcomes["NotAStoreError"] > 3


@pytest.mark.parametrize("happening", ["seal", "remove"])
def test_readers_while_a_feature_is_sealed_or_removed(rivals: Rivals, happening: str) -> None:
    writers: list[FeatureWriter] = []

    def begin() -> None:
        writers.append(rivals.writer())
        if happening == "remove":
            fill(writers[-1], 1)

    def happens() -> None:
        if happening == "seal":
            fill(writers[-1], 1)
        else:
            rivals.store.delete_feature("x")

    def read() -> None:
        X = rivals.store.view("x").array()
        np.testing.assert_array_equal(X, values().astype(np.float16))

    def check(outcome: Outcome) -> None:
        allowed = NotSealedError if happening == "seal" else FeatureNotFoundError
        assert outcome is None or isinstance(outcome, allowed), outcome

    rivals.interrupt_every_call(read, happens, check, begin=begin)


def test_ls_while_a_feature_is_sealed(rivals: Rivals) -> None:
    writers: list[FeatureWriter] = []

    def ls() -> None:
        result = CliRunner().invoke(group, ["ls", str(rivals.path), "--json"])
        assert result.exit_code == 0, result.output

    rivals.interrupt_every_call(
        ls,
        lambda: fill(writers[-1], 1),
        lambda outcome: None,
        begin=lambda: writers.append(rivals.writer()),
        every=3,
    )
